"""What is wrong with a dataset file, told before any rule runs: one sentence with field, value and what is allowed."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainmet.core.documents import read_yaml, written
from brainmet.core.validate import guess
from brainmet.errors import BrainmetError

READERS = Path(__file__).parents[1] / "ingest"
SHOWN = 3


def layouts() -> list[str]:
    """Names of the readers: modules of `brainmet/ingest` with a function `read`, found without importing them."""
    return sorted(path.stem for path in READERS.glob("[a-z]*.py") if "\ndef read(" in path.read_text())


def layouts_of(dataset: Mapping[str, Any]) -> list[str]:
    """Layouts of a dataset's samples: its own, and those of samples that differ."""
    others = (sample.get("layout") for sample in dataset["samples"])
    return list(dict.fromkeys([dataset["layout"], *filter(None, others)]))


def check(dataset: Mapping[str, Any], path: Path) -> None:
    """Check what the schema cannot: names, patterns and references inside one dataset file.

    Args:
        dataset: as it stands in the file, its ids as text.
        path: the file, for messages.

    Raises:
        BrainmetError: the first problem.
    """
    if dataset["id"] != path.stem:
        raise BrainmetError(f"{path}: id: {dataset['id']!r} must be the file's name without .yaml, {path.stem!r}")
    for layout in layouts_of(dataset):
        if layout not in (known := layouts()):
            raise BrainmetError(f"{path}: layout: {unknown(layout, known, 'reader')}")
    _files(dataset, path)
    _patterns(dataset, path)
    _samples(dataset, path)


def check_run(
    records: Mapping[str, Mapping[str, Any]], folders: Mapping[str, Path], *, types: Collection[str] = ()
) -> None:
    """Check the samples of a run against what is there: local files and cell types.

    Args:
        records: samples of the run by id.
        folders: the dataset file of every dataset.
        types: ids that labels may be mapped to; nothing is checked when empty.

    Raises:
        BrainmetError: the first problem.
    """
    for record in records.values():
        where = folders[record["dataset"]]
        for file in record["files"]:
            if odd := re.search(r"[{}]", file.get("path", file["name"])):
                raise BrainmetError(
                    f"{where}: files: {file.get('path', file['name'])}: Snakemake takes {odd[0]} in a name for a "
                    "wildcard; rename it"
                )
            if "path" in file and not Path(file["path"]).exists():
                near = _near(Path(file["path"]))
                waiting = ", ".join(written(id_) for id_, other in records.items() if file in other["files"])
                raise BrainmetError(
                    f"{where}: files: {file['name']}: there is no {file['path']}{near}; correct path (relative to this "
                    f"file, or absolute), or put the file there, or go on without: exclude: [{waiting}]"
                )
        for label, type_ in ((record["labels"] or {}).get("map") or {}).items():
            if types and type_ and type_ not in types:
                raise BrainmetError(f"{where}: labels: map: {label}: {unknown(type_, sorted(types), 'cell type')}")


def shared_donors(datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for every two datasets of a run that hold some of the same donors, as one of them says."""
    pairs = {
        tuple(sorted((id_, other)))
        for id_, dataset in datasets.items()
        for other in dataset.get("same_donors_as") or []
        if other in datasets
    }
    return [
        f"{a} and {b} hold some of the same donors (same_donors_as): each counts as a donor of its own in both; "
        "take one of them out of datasets, or exclude: the samples of one"
        for a, b in sorted(pairs)
    ]


def overruled(datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for every dataset whose table of covariates says otherwise than its samples' entries."""
    sentences = []
    for id_, dataset in datasets.items():
        if differences := dataset.get("overruled"):
            more = f", and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
            sentences.append(
                f"{id_}: covariates: the sample's line counts, not the table: {', '.join(differences[:SHOWN])}{more}; "
                "where the table is right, take the field out of the sample's line"
            )
    return sentences


def unread(datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for every dataset whose table of covariates has no column named like a field of a sample."""
    return [
        f"{id_}: covariates: no column of the table is named like a field of a sample ({', '.join(names)}), so it "
        "tells neither donor nor condition; say which is which, as in columns: {donor: Patient}"
        for id_, dataset in datasets.items()
        if (names := dataset.get("unread"))
    ]


def type_ids(files: Sequence[Path]) -> list[str]:
    """Ids of the cell types in files like `resources/markers/markers.yaml`; a missing file is its reader's to name."""
    return [entry["id"] for file in files if file.is_file() for entry in read_yaml(file)["cell_types"]]


def unknown(value: object, known: Sequence[str], what: str) -> str:
    """`'x' is no reader; did you mean y?; allowed: …`."""
    return f"{value!r} is no {what}{guess(value, known)}; allowed: {', '.join(known)}"


def _files(dataset: Mapping[str, Any], path: Path) -> None:
    names = [file["name"] for file in dataset["files"]]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BrainmetError(f"{path}: files: the name {repeated[0]} occurs more than once; give each file its own name")
    for file in dataset["files"]:
        sources = [key for key in ("url", "path", "package", "rule") if file.get(key)]
        if len(sources) != 1:
            raise BrainmetError(
                f"{path}: files: {file['name']} has {len(sources)} of url, path, package, rule; "
                "it must have exactly one"
            )


def _patterns(dataset: Mapping[str, Any], path: Path) -> None:
    split = dataset.get("split_by") or {}
    patterns = [("split_by: barcode", split["barcode"])] if "barcode" in split else []
    patterns += [("profiles: pattern", profile["pattern"]) for profile in dataset.get("profiles") or []]
    for field, pattern in patterns:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise BrainmetError(f"{path}: {field}: {pattern!r} is no regular expression ({error})") from error
        if field.startswith("split_by") and groups != 1:
            raise BrainmetError(
                f"{path}: {field}: {pattern!r} has {groups} groups; it must have one, whose text is a sample's match"
            )
    if "cells" in split and not (dataset.get("cells") or {}).get("file"):
        raise BrainmetError(
            f"{path}: split_by: cells: {split['cells']} is a column of a cells table, and none is named; add cells: "
            f"{{file: …, barcode: …}}, or for a column of the matrix itself say split_by: {{obs: {split['cells']}}}"
        )


def _samples(dataset: Mapping[str, Any], path: Path) -> None:
    ids = [sample["id"] for sample in dataset["samples"]]
    if repeated := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise BrainmetError(f"{path}: samples: the id {repeated[0]} occurs more than once; sample ids must be unique")
    if len(ids) > 1 and (bare := [sample["id"] for sample in dataset["samples"] if not sample.get("match")]):
        raise BrainmetError(
            f"{path}: samples: {bare[0]} has no match; with several samples each needs one: the prefix of its files, "
            "or its value of split_by"
        )
    matches = [sample["match"] for sample in dataset["samples"] if sample.get("match")]
    if repeated := sorted({match for match in matches if matches.count(match) > 1}):
        raise BrainmetError(
            f"{path}: samples: two samples have the match {repeated[0]!r}: they would hold the same cells; "
            "correct match"
        )


def _near(path: Path) -> str:
    names = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4)
    return f" (its folder holds {', '.join(close)})" if close else ""
