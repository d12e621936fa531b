"""Dataset files are found, checked, and turned into one record per sample.

Read at parse time by the Snakefile, so nothing here imports more than yaml and jsonschema.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import yaml

from brainmet.contract import UNKNOWN
from brainmet.core.documents import read_schema, read_yaml
from brainmet.core.names import ACCESSION, begins, matches_name, places
from brainmet.core.small_tables import SAYS_NOTHING, Table, read_table
from brainmet.core.validate import guess, validate
from brainmet.datasets import checks
from brainmet.errors import BrainmetError

SCHEMA = Path(__file__).parents[2] / "schemas" / "dataset.schema.yaml"

DESCRIPTIVE = (
    "condition",
    "primary_site",
    "organism",
    "technology",
    "suspension",
    "values",
    "enrichment",
    "dissociation",
    "batch",
    "reference_annotation",
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
SOURCE = ("layout", "split_by", "cells", "labels", "profiles")
"""Fields that every sample takes from its dataset, but for a layout of its own."""
HIDDEN = ("files", "labels", "cells", "split_by", "layout", "match", "longer_matches")
"""Fields of a record that say how its files are read on this machine and nothing of the sample."""
READ_BY_INGEST = (
    *("id", "dataset", "study", "donor", "condition", "match", "organism", "technology", "suspension", "values"),
    *SOURCE,
    *("longer_matches", "covariates", "simulated", "files"),
)
"""Fields of a record that its counts depend on: describing a sample better must not read its files again."""
ARCHIVE = re.compile(r"\.(tar|tgz|tbz2?|txz|zip)(\.(gz|bz2|xz))?$", re.IGNORECASE)
"""Names of files that hold others, of which a sample reads its own alone."""
NOT_READ = re.compile(
    r"^\.|^~\$|molecule_info\.h5$|\.(bam|bai|cram|crai|sam|f(ast)?q|cloupe|vloupe|html?|pdf|png|jpe?g|svg|log|ya?ml|md5|"
    r"json|md|tbi|bed|7z|rar)(\.gz)?$",
    re.IGNORECASE,
)
"""Files in a folder of results that hold no counts."""
OF_ALL = re.compile(r"(features?|genes?)(\.(tsv|csv|txt))?(\.gz)?$", re.IGNORECASE)
"""A table of genes that no sample's name begins: it serves all samples."""
DEFAULTS = {"condition": "other", "organism": "human"}
"""What a file that does not say stands for, all else `unknown`; genes that are not human's stop the sample."""
TEXTS_BY_TABLE = ("donor", "study", *DESCRIPTIVE)
BY_TABLE = (*TEXTS_BY_TABLE, "doublet_rate")
"""Fields of a sample that a table of covariates may fill; all but the rate are texts."""
NAMING = ("id", "donor", "study", "match")
"""Fields of a sample that are names: 7 and "7" are one."""
SHOWN = 6


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
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    searched = ", ".join(str(folder) for folder in folders)
    raise BrainmetError(
        f"config.yaml: datasets: no file {id_}.yaml{guess(id_, known, cutoff=0.5)}; searched: {searched}; "
        f"known: {', '.join(known)}; add the file, or its folder to dataset_paths"
    )


def read(path: Path) -> dict[str, Any]:
    """One dataset file, validated, with `path:` entries made absolute and the sample list filled in.

    A table that `cells`, `labels` or `covariates` name and that lies beside the dataset file needs no entry in `files`.
    """
    try:
        dataset = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BrainmetError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from error
    _name(dataset)
    validate(dataset, read_schema(SCHEMA), name=str(path))
    dataset.setdefault("title", dataset["id"])
    dataset.setdefault("samples", [{"id": dataset["id"]}])
    checks.check(dataset, path)
    if dataset.get("covariates"):
        _add_covariates(dataset, path)
    dataset["files"] = [found for file in dataset["files"] for found in on_disk(file, path)]
    names = {file["name"] for file in dataset["files"]}
    for role in ("cells", "labels"):
        table = (dataset.get(role) or {}).get("file")
        if table and table not in names and (beside := path.parent / table).is_file():
            dataset[role]["file"] = beside.name
            if beside.name not in names:
                dataset["files"].append({"name": beside.name, "path": str(beside.resolve())})
                names.add(beside.name)
    return dataset


def on_disk(file: dict[str, Any], dataset: Path) -> list[dict[str, Any]]:
    """A `path:` entry with its absolute path; of a folder the files in it, named by their place as in an archive."""
    if "path" not in file:
        return [file]
    path = (dataset.parent / file["path"]).resolve()
    if not path.is_dir():
        return [{**file, "path": str(path)}]
    if Path.cwd().resolve().is_relative_to(path):
        raise BrainmetError(
            f"{dataset}: files: {file['name']}: the run itself writes into the folder {path}, and what it writes would "
            "be read as raw; put the raw files into a folder of their own, or choose another working directory (-d)"
        )
    try:
        files = sorted(_inside(path))
    except OSError as error:
        raise BrainmetError(f"{dataset}: files: {file['name']}: {error}; correct its rights, or path") from error
    inside = [found for found in files if not NOT_READ.search(found.name) and found.stat().st_size]
    if not inside:
        holds = ", ".join(found.relative_to(path).as_posix() for found in files[:SHOWN]) or "nothing"
        raise BrainmetError(
            f"{dataset}: files: {file['name']}: the folder {path} holds no file to read (there is {holds}); "
            "correct path"
        )
    return [{"name": f"{file['name']}/{found.relative_to(path).as_posix()}", "path": str(found)} for found in inside]


def _inside(folder: Path, above: Set[str] = frozenset()) -> Iterator[Path]:
    """Files below a folder, through links but not in circles; nothing hidden."""
    if (real := os.path.realpath(folder)) in above:
        return
    for entry in folder.iterdir():
        if entry.is_file():
            yield entry
        elif entry.is_dir() and not entry.name.startswith("."):
            yield from _inside(entry, above | {real})


def _name(dataset: Any) -> None:
    """Ids, donors and labels as text: YAML reads 7 as a number."""
    if not isinstance(dataset, dict):
        return
    for entry in (dataset, *_entries(dataset, "samples")):
        _as_text(entry, NAMING)
    for file in _entries(dataset, "files"):
        _as_text(file, ("name",))
    labels = dataset.get("labels")
    if isinstance(labels, dict) and isinstance(labels.get("map"), dict):
        labels["map"] = {str(label): type_ for label, type_ in labels["map"].items()}
    covariates = dataset.get("covariates")
    values = covariates.get("values") if isinstance(covariates, dict) else None
    if isinstance(values, dict):
        for field, words in values.items():
            if isinstance(words, dict):
                values[field] = {str(theirs): str(ours) for theirs, ours in words.items()}


def _entries(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The entries of a list, so far as they are such; the rest is the schema's to refuse."""
    listed = document.get(key)
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _as_text(entry: dict[str, Any], fields: Sequence[str]) -> None:
    entry |= {field: str(entry[field]) for field in fields if type(entry.get(field)) is int}


def _add_covariates(dataset: dict[str, Any], path: Path) -> None:
    """What the table of covariates says of each sample; the dataset file's own word stands before the table's, and is
    noted as `overruled` where the two differ.
    """
    spec = dataset["covariates"]
    spec = {"file": spec} if isinstance(spec, str) else spec
    table = path.parent / spec["file"]
    try:
        found = read_table(table.name, table.read_bytes())
    except (OSError, ValueError) as error:
        raise BrainmetError(f"{path}: covariates: {table} cannot be read ({error}); correct file") from error
    rows = _in_our_words(found, spec, name=f"{path}: covariates: {table}")
    known = {sample["id"]: sample for sample in dataset["samples"]}
    # A paper's table often lists samples that the series does not hold; a name written otherwise leaves one without.
    if (foreign := [id_ for id_ in rows if id_ not in known]) and set(known) - set(rows):
        raise BrainmetError(
            f"{path}: covariates: {table}: {foreign[0]!r} is no sample of the dataset; samples: {', '.join(known)}"
        )
    understood = set(BY_TABLE) & {name for said in rows.values() for name in said}
    own = {id_: said for id_, said in rows.items() if id_ in known}
    overruled = [line for id_, said in own.items() for line in _fill(known[id_], said)]
    validate(dataset, read_schema(SCHEMA), name=f"{path} with {table.name}")
    for id_, rest in own.items():
        known[id_]["covariates"] = rest
    dataset["overruled"] = overruled
    dataset["unread"] = [] if understood else found.header[1:]


def _fill(sample: dict[str, Any], said: dict[str, str]) -> list[str]:
    """Move what a row says of fields into a sample that leaves them open; returns where the sample says otherwise."""
    overruled = []
    for field in TEXTS_BY_TABLE:
        value = said.pop(field, None)
        if value is not None and sample.get(field) is None:
            sample[field] = value
        elif value and value.casefold() not in (UNKNOWN, _text(sample[field]).casefold()):
            overruled.append(f"{field} of {sample['id']} is {_text(sample[field])} (table: {value})")
    if (rate := said.pop("doublet_rate", "")) and sample.get("doublet_rate") is None:
        sample["doublet_rate"] = _number(rate)
    return overruled


def _in_our_words(table: Table, spec: Mapping[str, Any], *, name: str) -> dict[str, dict[str, str]]:
    """What each row of a table of covariates says, by its sample: fields by our name and in our words as `columns` and
    `values` of the dataset file have it, other columns as they are.

    Raises:
        BrainmetError: `sample`, `columns` or `values` name what is not there, or a sample has two rows.
    """
    header, key = table.header, spec.get("sample", table.header[0])
    if key not in header:
        raise BrainmetError(f"{name} has no column {key} ({', '.join(header)}); correct sample")
    ours = spec.get("columns") or {}
    values = spec.get("values") or {}
    for role, fields in (("columns", ours), ("values", values)):
        if wrong := next((field for field in fields if field not in BY_TABLE), ""):
            raise BrainmetError(
                f"{name}: {role}: {checks.unknown(wrong, BY_TABLE, 'field of a sample that a table may fill')}"
            )
    if lacking := next((theirs for theirs in ours.values() if theirs not in header), ""):
        raise BrainmetError(
            f"{name} has no column {lacking}{guess(lacking, header)} ({', '.join(header)}); correct columns"
        )
    rows: dict[str, dict[str, str]] = {}
    for line in table.rows:
        said = {column: text for column, text in zip(header, line, strict=True) if text.casefold() not in SAYS_NOTHING}
        id_ = said.pop(key, "")
        if id_ in rows:
            raise BrainmetError(f"{name}: {id_!r} has more than one row; leave one")
        # A column that has a field's name while another is meant by it stays out of it.
        carried = {column: text for column, text in said.items() if column not in (*ours, *ours.values())}
        named = carried | {field: said[theirs] for field, theirs in ours.items() if theirs in said}
        rows[id_] = {field: values.get(field, {}).get(text, text) for field, text in named.items()}
    return rows


def records(datasets: dict[str, dict[str, Any]], *, exclude: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One record per sample of all datasets, by sample id: what its jobs need to know, nothing else.

    Args:
        datasets: as `load` returns them.
        exclude: sample ids left out of the run.

    Raises:
        BrainmetError: two samples share an id, whatever its case, or `exclude` names an unknown sample or all of them.
    """
    by_id: dict[str, dict[str, Any]] = {}
    spelled: dict[str, str] = {}
    for dataset in datasets.values():
        matches = _matches_by_file(dataset)
        for sample in dataset["samples"]:
            if other := by_id.get(sample["id"]):
                raise BrainmetError(
                    f"sample id {sample['id']} is used by the datasets {other['dataset']} and {dataset['id']}; "
                    "sample ids must be unique over the run: rename one of them in its dataset file"
                )
            by_id[sample["id"]] = _record(dataset, sample, matches)
            if (first := spelled.setdefault(sample["id"].casefold(), sample["id"])) != sample["id"]:
                raise BrainmetError(
                    f"sample ids {first} and {sample['id']} differ in case alone, and the disks of most Macs would "
                    "hold their results to be one: rename one of them in its dataset file"
                )
    if unknown := [sample for sample in exclude if sample not in by_id]:
        raise BrainmetError(
            f"config.yaml: exclude: no sample {unknown[0]!r} in this run{guess(unknown[0], by_id)}; "
            f"samples: {', '.join(by_id)}"
        )
    kept = dict(sorted((id_, record) for id_, record in by_id.items() if id_ not in set(exclude)))
    if by_id and not kept:
        raise BrainmetError("config.yaml: exclude: names every sample of the run; leave at least one")
    return kept


def stamp(records: dict[str, dict[str, Any]]) -> None:
    """Note size and time of change of every local file in the records.

    A file that was replaced by an older one is then a change of its samples, which times alone would not show.
    """
    for record in records.values():
        for file in record["files"]:
            if "path" in file:
                state = Path(file["path"]).stat()
                file["stamp"] = f"{state.st_size} bytes, {int(state.st_mtime)}"


def public(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of its sample, to be published: the same on every machine."""
    return {field: value for field, value in record.items() if field not in HIDDEN}


def _record(dataset: dict[str, Any], sample: dict[str, Any], matches: Sequence[Set[str]]) -> dict[str, Any]:
    described = {
        field: _text(_first(sample.get(field), dataset.get(field), DEFAULTS.get(field))) for field in DESCRIPTIVE
    }
    if described["organism"] == UNKNOWN:
        described["organism"] = DEFAULTS["organism"]
    source = {key: dataset.get(key) for key in SOURCE}
    source["layout"] = sample.get("layout") or dataset["layout"]
    return {
        "id": sample["id"],
        "dataset": dataset["id"],
        "study": _first(sample.get("study"), dataset.get("study"), dataset["id"]),
        "donor": _first(sample.get("donor"), sample["id"]),
        "match": sample.get("match"),
        "longer_matches": _longer(dataset, sample),
        "doublet_rate": _first(sample.get("doublet_rate"), dataset.get("doublet_rate")),
        **described,
        **source,
        "covariates": sample.get("covariates", {}),
        "simulated": any("rule" in file for file in dataset["files"]),
        "files": _files_of(dataset, sample, matches),
    }


def _matches_by_file(dataset: Mapping[str, Any]) -> list[frozenset[str]]:
    """For each file of a dataset the samples' matches that its name begins with, as `matches_name` has it.

    Taken from the names, whose beginnings are few: asking every match of every file takes minutes for large folders.
    """
    known = {sample["match"] for sample in dataset["samples"] if sample.get("match")}
    return [_beginnings(file["name"]) & known for file in dataset["files"]]


def _beginnings(name: str) -> frozenset[str]:
    """Every `match` that would fit a name."""
    texts = [text for place in places(name) for text in (place, ACCESSION.sub("", place))]
    return frozenset(
        text[:end] for text in texts for end in range(1, len(text) + 1) if not text[end : end + 1].isalnum()
    )


def _files_of(dataset: dict[str, Any], sample: dict[str, Any], matches: Sequence[Set[str]]) -> list[dict[str, Any]]:
    """Files a sample is read from: those whose name it matches, and those that are not any sample's own.

    A folder with one file per sample would otherwise make every sample depend on all files. Of the rest of a folder a
    sample with files of its own needs what may serve all: archives, genes, and the tables that the dataset names.
    """
    if dataset.get("split_by"):
        return dataset["files"]
    longer = set(_longer(dataset, sample))
    is_own = [sample.get("match") in fitting and not fitting & longer for fitting in matches]
    tables = tuple(dataset[role]["file"] for role in ("cells", "labels") if (dataset.get(role) or {}).get("file"))
    has_own = any(is_own)

    def serves(name: str) -> bool:
        outside = not has_own or "/" not in name
        return outside or bool(ARCHIVE.search(name) or OF_ALL.search(name)) or name.endswith(tables)

    return [
        file
        for file, fitting, own in zip(dataset["files"], matches, is_own, strict=True)
        if own or (not fitting and serves(file["name"]))
    ]


def _longer(dataset: dict[str, Any], sample: dict[str, Any]) -> list[str]:
    """Matches of other samples that this one's begins: `P1_rep2` beside `P1`. Their files are theirs alone."""
    prefix = sample.get("match")
    if not prefix or dataset.get("split_by"):
        return []
    others = [other["match"] for other in dataset["samples"] if other.get("match")]
    return [match for match in others if match != prefix and begins(match, prefix)]


def sharers(dataset: Mapping[str, Any], record: Mapping[str, Any]) -> list[int]:
    """For how many samples each file of a record is: more than one where an archive holds a member for each."""
    if dataset.get("split_by") or not any(ARCHIVE.search(file["name"]) for file in record["files"]):
        return [1] * len(record["files"])
    names = [file["name"] for file in dataset["files"]]
    inside = [
        sample["id"]
        for sample in dataset["samples"]
        if sample.get("match") and not any(matches_name(name, sample["match"]) for name in names)
    ]
    shared = record["id"] in inside
    return [len(inside) if shared and ARCHIVE.search(file["name"]) else 1 for file in record["files"]]


def _first(*values: Any) -> Any:
    """The first value that says something: a field left empty in a sample's entry is what its dataset says."""
    return next((value for value in values if value is not None), None)


def _number(text: str) -> float | str:
    """The number; a text that is none is the schema's to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    """A field as text: what YAML made a truth value is yes or no again, and an empty field says nothing."""
    if value is None:
        return UNKNOWN
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
