"""The run that a configuration describes: its datasets and samples, every problem told before any rule is made."""

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainmet import annotate, datasets
from brainmet.core import tables
from brainmet.datasets import checks
from brainmet.errors import BrainmetError
from brainmet.run import config as configuration

OWN_FILES = ("score.files", "score.networks", "claims.files", "annotate.marker_files", "annotate.overrides")
"""The user's own files in the configuration, relative to the working directory; those of methods besides."""


def load(config: Mapping[str, Any], *, shipped: Path) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The datasets of a run by id, and one record per sample by sample id.

    Args:
        config: the shipped configuration with the user's merged over it.
        shipped: the workflow's `resources`.

    Raises:
        BrainmetError: the configuration or a dataset file is wrong, in one line.
    """
    configuration.check(dict(config))
    for key, file in own_files(config):
        if not Path(file).is_file():
            raise BrainmetError(
                f"config.yaml: {key}: there is no file {Path(file).absolute()}; correct the path "
                "(relative to the working directory, or absolute)"
            )
    if (python := config["gpu"]) and not (Path(python).is_file() and os.access(python, os.X_OK)):
        raise BrainmetError(
            f"config.yaml: gpu: {python} is no program that can be run; give the absolute path of a Python with "
            "rapids-singlecell, or null"
        )
    tasks = config["score"]["metabolic_tasks"]
    folders = [("dataset_paths", folder) for folder in config["dataset_paths"]]
    for key, folder in [*folders, *([("score.metabolic_tasks", tasks)] if tasks else [])]:
        if not Path(folder).is_dir():
            raise BrainmetError(
                f"config.yaml: {key}: there is no folder {Path(folder).absolute()}; correct the path "
                "(relative to the working directory, or absolute)"
            )
    if tasks and importlib.util.find_spec("sccellfie") is None:
        raise BrainmetError(
            "config.yaml: score.metabolic_tasks needs sccellfie, which is not installed; run `uv sync --extra "
            "metabolism`, or set it to null"
        )
    searched = [*(Path(folder).absolute() for folder in config["dataset_paths"]), shipped / "datasets"]
    loaded = datasets.load(config["datasets"], folders=searched)
    records = datasets.records(loaded, exclude=config["exclude"])
    paths = {id_: datasets.find(id_, folders=searched) for id_ in loaded}
    types = [shipped / "markers/markers.yaml", *map(Path, config["annotate"]["marker_files"])]
    checks.check_run(records, paths, types=checks.type_ids(types))
    datasets.stamp(records)
    return loaded, records


def own_files(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and path of every file that the configuration names."""
    for key in OWN_FILES:
        section, name = key.split(".")
        given = config[section][name] or []
        yield from ((key, file) for file in ([given] if isinstance(given, str) else given))
    for name, method in annotate.chosen(config["annotate"]["methods"], config["annotate"]).items():
        for option, file in method.paths(config["annotate"].get(name, {})).items():
            yield f"annotate.{name}.{option}", file


def wanted_tables(samples: Mapping[str, Mapping[str, Any]], *, bulk: bool) -> list[str]:
    """Names of the tables that a full run ends with: those of `results/tables` that are not made on request alone.

    Args:
        samples: records of the samples of cells; without any, the tables that need no cells are left.
        bulk: whether the run holds bulk samples.
    """
    wanted = {"all"}
    if any(record["simulated"] for record in samples.values()):
        wanted.add("simulated")
    if bulk:
        wanted.add("bulk")
    schemas = {path.stem: tables.schema(path.stem) for path in sorted(tables.SCHEMAS.glob("*.yaml"))}
    return [
        name
        for name, schema in schemas.items()
        if schema["path"] == f"tables/{name}.tsv"
        and schema.get("target", "all") in wanted
        and (samples or not schema.get("cells", True))
    ]


def own_size(sizes: Sequence[float], sharers: Sequence[int]) -> float:
    """Size of what a sample is read from, in the unit of the files' sizes.

    Of an archive of n samples that is twice the n-th part: members are read in place, and samples of a series differ.

    Args:
        sizes: of the files.
        sharers: how many samples each file holds.
    """
    return sum(size * min(1, 2 / n) for size, n in zip(sizes, sharers, strict=False))
