"""Dataset files: found, checked, and turned into one record a sample.

Read at parse time by the Snakefile, so nothing here imports more than yaml and jsonschema.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from brainmet.contract import UNKNOWN
from brainmet.documents import read_schema, read_yaml
from brainmet.errors import BrainmetError
from brainmet.validate import validate

SCHEMA = Path(__file__).parent.parent / "schemas" / "dataset.schema.yaml"

DESCRIPTIVE = (
    "condition",
    "primary_site",
    "organism",
    "technology",
    "suspension",
    "values",
    "enrichment",
    "dissociation",
    "er",
    "pr",
    "her2",
    "age",
    "timepoint",
    "treatments",
    "prior_brain_rt",
    "region",
    "assay",
    "tissue",
    "disease",
    "sex",
    "development_stage",
    "ethnicity",
)
"""Fields that a sample takes from its own entry, else from its dataset, else `unknown`."""
SOURCE = ("layout", "split_by", "cells", "labels", "reference_annotation", "profiles")
"""Fields that every sample takes from its dataset."""
DEFAULTS = {"condition": "other", "organism": "human"}
"""What a file that does not say stands for, all else `unknown`; genes that are not human's stop the sample."""


def load(ids: Sequence[str], *, folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Datasets by id, in the given order.

    Args:
        ids: names of dataset files without `.yaml`.
        folders: searched in order; the first that has the file wins.

    Raises:
        BrainmetError: an id has no file, or a file is not a valid dataset file.
    """
    return {id_: read(find(id_, folders=folders)) for id_ in ids}


def find(id_: str, *, folders: Sequence[Path]) -> Path:
    """The dataset file of an id."""
    for folder in folders:
        if (path := folder / f"{id_}.yaml").is_file():
            return path
    import difflib

    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    close = difflib.get_close_matches(id_, known, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]}?" if close else ""
    searched = ", ".join(str(folder) for folder in folders)
    raise BrainmetError(
        f"config.yaml: datasets: no file {id_}.yaml{guess}; searched: {searched}; known: {', '.join(known)}; "
        "add the file, or its folder to dataset_paths"
    )


def read(path: Path) -> dict[str, Any]:
    """One dataset file, validated, with `path:` entries made absolute and the sample list filled in."""
    try:
        dataset = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BrainmetError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from error
    validate(dataset, read_schema(SCHEMA), name=str(path))
    if dataset["id"] != path.stem:
        raise BrainmetError(f"{path}: id: {dataset['id']!r} must be the file's name without .yaml, {path.stem!r}")
    _check_files(dataset, path)
    for file in dataset["files"]:
        if "path" in file:
            file["path"] = str((path.parent / file["path"]).resolve())
    dataset.setdefault("title", dataset["id"])
    dataset.setdefault("samples", [{"id": dataset["id"], "donor": dataset["id"], "condition": "other"}])
    _check_samples(dataset, path)
    return dataset


def records(datasets: dict[str, dict[str, Any]], *, exclude: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One record a sample of all datasets, by sample id: what its jobs need to know, nothing else.

    Args:
        datasets: as `load` returns them.
        exclude: sample ids left out of the run.

    Raises:
        BrainmetError: two samples share an id, or `exclude` names an unknown sample.
    """
    found: dict[str, dict[str, Any]] = {}
    for dataset in datasets.values():
        for sample in dataset["samples"]:
            if other := found.get(sample["id"]):
                raise BrainmetError(
                    f"sample id {sample['id']} is used by the datasets {other['dataset']} and {dataset['id']}; "
                    "sample ids must be unique over the run: rename one of them in its dataset file"
                )
            found[sample["id"]] = _record(dataset, sample)
    if unknown := [sample for sample in exclude if sample not in found]:
        raise BrainmetError(f"config.yaml: exclude: no sample {unknown[0]!r} in this run; samples: {', '.join(found)}")
    return dict(sorted((id_, record) for id_, record in found.items() if id_ not in set(exclude)))


def _record(dataset: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    described = {field: sample.get(field, dataset.get(field, DEFAULTS.get(field, UNKNOWN))) for field in DESCRIPTIVE}
    if described["organism"] == UNKNOWN:
        described["organism"] = DEFAULTS["organism"]
    source = {key: dataset.get(key) for key in SOURCE}
    return {
        "id": sample["id"],
        "dataset": dataset["id"],
        "study": sample.get("study", dataset.get("study", dataset["id"])),
        "donor": sample.get("donor", sample["id"]),
        "match": sample.get("match"),
        "doublet_rate": sample.get("doublet_rate", dataset.get("doublet_rate")),
        **described,
        **source,
        "simulated": any("rule" in file for file in dataset["files"]),
        "files": _files_of(dataset, sample),
    }


def _files_of(dataset: dict[str, Any], sample: dict[str, Any]) -> list[dict[str, Any]]:
    """Files a sample is read from: those whose name it matches, and those that are not any sample's own.

    A folder of one file a sample would otherwise make every sample depend on all files.
    """
    if dataset.get("split_by"):
        return dataset["files"]
    matches = [other["match"] for other in dataset["samples"] if other.get("match")]
    own = sample.get("match")
    return [
        file
        for file in dataset["files"]
        if not any(matches_name(file["name"], match) for match in matches) or (own and matches_name(file["name"], own))
    ]


def matches_name(name: str, match: str) -> bool:
    """Whether a file is a sample's: `match` is a prefix of its base name, ended by a non-alphanumeric character."""
    base = name.rsplit("/", 1)[-1]
    return base.startswith(match) and (len(base) == len(match) or not base[len(match)].isalnum())


def _check_files(dataset: dict[str, Any], path: Path) -> None:
    names = [file["name"] for file in dataset["files"]]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BrainmetError(f"{path}: files: the name {repeated[0]} occurs more than once; give each file its own name")
    for file in dataset["files"]:
        sources = [key for key in ("url", "path", "package", "rule") if key in file]
        if len(sources) != 1:
            raise BrainmetError(
                f"{path}: files: {file['name']} has {len(sources)} of url, path, package, rule; "
                "it must have exactly one"
            )


def _check_samples(dataset: dict[str, Any], path: Path) -> None:
    ids = [sample["id"] for sample in dataset["samples"]]
    if repeated := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise BrainmetError(f"{path}: samples: the id {repeated[0]} occurs more than once; sample ids must be unique")
    if len(ids) > 1 and (bare := [sample["id"] for sample in dataset["samples"] if not sample.get("match")]):
        raise BrainmetError(
            f"{path}: samples: {bare[0]} has no match; with several samples each needs one: the prefix of its files, "
            "or its value of split_by"
        )
