"""What the files of a dataset hold beside what its dataset file says: the lines that the file still lacks.

A dataset file may be written before anybody has seen the files. Once they are there, this finds samples that match
nothing, and prints an entry for every file, or every value of `split_by`, that is no sample's.
"""

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brainmet import datasets
from brainmet.core.names import begins, matches_name
from brainmet.datasets import OF_ALL
from brainmet.datasets.checks import layouts_of
from brainmet.errors import BrainmetError
from brainmet.ingest import tables_beside
from brainmet.ingest.members import PACKED, Member, list_members
from brainmet.ingest.raw import Request
from brainmet.knowledge.genes import GeneTable

ACCESSION = re.compile(r"^(GSM\d+)(?=[^0-9]|$)")
KINDS = re.compile(
    r"[_.\-]*((sample_)?(filtered|raw)_(feature|gene)_bc_matri\w*|barcodes?|features?|genes?|matrix|metadata|counts?|umis?|"
    r"expression_matrix|dense|cell_types?\w*)?(\.(mtx|tsv|csv|txt|h5|h5ad|loom|rds|rda|rdata|robj))?(\.(gz|bz2|xz))?$",
    re.IGNORECASE,
)
"""The end of a name that tells what a file holds, not whose it is."""
OF_A_TOOL = re.compile(
    r"^(outs?|count|analysis|data|solo\.?out|gene(full\w*)?|velocyto|counts_\w+|umis?|per_sample_outs|"
    r"(sample_)?(filtered|raw)(_\w+_bc_matri\w*|_data|_counts?|_matri\w*)?|(grch|grcm)\d+\w*|(hg(19|38)|mm(9|10|39))\w*)$",
    re.IGNORECASE,
)
"""Folders that tools make in every sample's."""
LAYOUTS = {
    "tenx_triplet": r"\.mtx",
    "tenx_h5": r"(?<!molecule_info)\.(h5|hdf5)",
    "h5ad": r"\.h5ad",
    "loom": r"\.loom",
    "dense_text": r"\.(csv|tsv|txt|tab|xlsx|parquet)",
    "rds": r"\.(rds|rda|rdata|robj)",
}
"""Ends of the names of matrices by layout, what holds raw counts most often first."""
OF_CELLS = re.compile(r"annot|meta_?data|cell_?types?|clusters?|labels?", re.IGNORECASE)
OF_GENES = re.compile(
    r"barcodes|features|summary|readme|filelist|series_matrix|(^|[_.\-])(genes?|quants_mat_\w+)\.", re.IGNORECASE
)
"""Names of tables about cells; and of lists, reports and texts."""
SEVERAL, MANY = 2, 200
"""Numbers of values between which a column of cells, or a part of their barcodes, may name donors or samples."""
FEWEST_CELLS = 2
"""Cells per value on average; values with fewer name cells, not samples."""
SHOWN = 6


def discover(dataset: Mapping[str, Any], paths: Sequence[Path], genes: GeneTable) -> str:
    """What a dataset file lacks, as text whose lines can be copied into it.

    Args:
        dataset: as `datasets.load` returns it.
        paths: its files, in the order of `files`.
        genes: tells rows of genes from rows of cells.

    Raises:
        BrainmetError: a file is missing or damaged.
    """
    named = zip(dataset["files"], paths, strict=True)
    members = list_members([(file["name"], path) for file, path in named])
    tables = {(dataset.get(role) or {}).get("file") for role in ("cells", "labels")}
    data = [member for member in members if member.name not in tables]
    fitting = [
        member for layout in layouts_of(dataset) if layout in LAYOUTS for member in matrices(data, layout)
    ] or data
    if dataset["layout"] == "bulk":
        lines = ["# its profiles are told apart by the patterns under profiles:"]
    elif dataset.get("split_by"):
        lines = _by_value(dataset, members, genes)
    elif any(sample.get("match") for sample in dataset["samples"]) or len(groups(data, fitting)) > 1:
        lines = _by_name(dataset["samples"], data, fitting)
    else:
        lines = of_one_matrix(dataset, members, genes)
    return "\n".join([f"# {dataset['id']}", *lines]) + "\n"


def matrices(members: Sequence[Member], layout: str) -> list[Member]:
    """Files that may be matrices of a layout, by their names; tables about cells or genes are none."""
    ending = re.compile(rf"{LAYOUTS.get(layout, '')}{PACKED}", re.IGNORECASE)
    fitting = [member for member in members if ending.search(member.name)]
    if layout != "dense_text":
        return fitting
    return [member for member in fitting if not (OF_CELLS.search(member.name) or OF_GENES.search(member.name))]


def unmatched(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Names of files, with their folders, that begin with no sample's `match`, nor does any of their folders."""
    return [name for name in names if not any(matches_name(name, match) for match in known)]


def _by_name(samples: Sequence[Mapping[str, Any]], members: Sequence[Member], fitting: Sequence[Member]) -> list[str]:
    names = {member.full_name: member for member in members}
    known = {sample["match"]: sample["id"] for sample in samples if sample.get("match")}
    lines = [
        f"# {id_}: no file begins with {match}; correct its match, or take the sample out"
        for match, id_ in known.items()
        if len(unmatched(list(names), [match])) == len(names)
    ]
    new = groups([names[name] for name in unmatched(list(names), list(known)) if not OF_ALL.search(name)], fitting)
    if not new:
        return [*lines, f"# every {'other ' if lines else ''}file is a sample's"]
    lines.append(
        f"# {len(new)} groups of files are no sample's; set donor and condition of those that are samples:"
        if known
        else f"# all files are read as one sample; were their {len(new)} groups samples of their own, these were "
        "the lines, each with donor and condition:"
    )
    return [*lines, *(entry(*group) for group in new)]


class FileGroup(NamedTuple):
    """Files that belong together: an id for their sample, what the names of all begin with, and the first names."""

    id: str
    match: str
    names: str


def groups(members: Sequence[Member], fitting: Sequence[Member]) -> list[FileGroup]:
    """Groups of files, one of each a matrix that fits.

    Names that tell samples apart in one folder alone, P1/tumor beside P2/tumor, are taken with their folders.
    """
    folders: dict[str, set[tuple[str, ...]]] = {}
    for member in fitting:
        folders.setdefault(_key(member), set()).add(_place(member))
    apart = {key for key, places in folders.items() if len(places) > 1 and not ACCESSION.match(key)}
    path_of = {member: _path(member) for member in members if _key(member) in apart}
    together: dict[str, list[Member]] = {}
    for member in members:
        together.setdefault("/".join(path_of.get(member, ())) or _key(member), []).append(member)
    fits = set(fitting)
    samples = {key for key, files in together.items() if key and not fits.isdisjoint(files)}
    by_path = _differing({key: path_of[m] for key in samples for m in fits & set(together[key]) if path_of.get(m)})
    found = []
    for key in (*sorted(by_path), *sorted(samples - set(by_path))):
        names = [member.name for member in together[key]]
        match = key if key in by_path else _beginning(names, key)
        id_ = by_path.get(key) or ACCESSION.sub("", match).strip("_.-") or match
        found.append(FileGroup(id_, match, ", ".join(sorted(set(names))[:3])))
    return _told_apart(found)


def _stem(member: Member) -> str:
    """What a file's name says of whose it is."""
    return KINDS.sub("", member.name.rsplit("/", 1)[-1])


def _key(member: Member) -> str:
    """What the files of a sample share: the accession, else the name's beginning, else the folder."""
    accession, place = ACCESSION.match(member.name), _place(member)
    return accession[1] if accession else _stem(member) or (place[-1] if place else "")


def _place(member: Member) -> tuple[str, ...]:
    """Folders that a file lies in, down to the last that no tool made."""
    places = [i for i, folder in enumerate(member.folders) if not OF_A_TOOL.match(folder)]
    return member.folders[: places[-1] + 1] if places else ()


def _path(member: Member) -> tuple[str, ...]:
    """Folders of a file, and what its name says where it lies in the last of them itself, in no folder of a tool."""
    place, stem = _place(member), _stem(member)
    return (*place, stem) if stem and place == member.folders else place


def _beginning(names: Sequence[str], key: str) -> str:
    """What the names of all files of a group begin with; the key where that would be a part of a word."""
    stems = [KINDS.sub("", name).rstrip("/") for name in names]
    common = stems[0][: _shared(stems)]
    whole = len(common) >= len(key) and all(begins(name, common) for name in names)
    return (common if whole else key).rstrip("_.-") or key


def _differing(paths: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Ids for paths: what is not common to all at their beginning or end."""
    before, after = _shared(paths.values()), _shared([path[::-1] for path in paths.values()])
    return {key: "_".join(path[before : len(path) - after] or path[-1:]) for key, path in paths.items()}


def _shared(paths: Iterable[Sequence[str]]) -> int:
    """Number of parts that all paths begin with."""
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))


def _told_apart(found: Sequence[FileGroup]) -> list[FileGroup]:
    """The groups with an id each: of one id twice the matches are taken, of one match twice numbers stand behind it."""
    times = Counter(_clean(group.id).casefold() for group in found)
    taken: dict[str, FileGroup] = {}
    for group in found:
        clean = _clean(group.id if times[_clean(group.id).casefold()] == 1 else group.match)
        numbered = chain([clean], (f"{clean}_{i}" for i in count(2)))
        id_ = next(free for free in numbered if free.casefold() not in taken)
        taken[id_.casefold()] = group._replace(id=id_)
    return list(taken.values())


def _clean(id_: str) -> str:
    """A name as an id may be; the + of a sorted fraction tells it from the other."""
    return re.sub(r"[^A-Za-z0-9_.\-]+", "_", id_.replace("+", "pos")).strip("_.-") or "sample"


def _by_value(dataset: Mapping[str, Any], members: Sequence[Member], genes: GeneTable) -> list[str]:
    record = _record(dataset)
    tables = tables_beside.found_tables(record, members)
    ((how, key),) = dataset["split_by"].items()
    if how == "cells":
        column = tables_beside.column(tables["cells"], key, sep=record["cells"].get("sep") or "auto")
    else:
        barcodes, obs = _cells(record, members, tables, genes)
        column = tables_beside.sample_of(record, tables, barcodes, obs)
    values = Counter(str(value) for value in column if str(value))
    known = {str(sample["match"]): sample["id"] for sample in dataset["samples"] if sample.get("match")}
    lines = [
        f"# {id_}: no cell has {key} {match}; correct its match, or take the sample out"
        for match, id_ in known.items()
        if match not in values
    ]
    new = [value for value in sorted(values) if value not in known]
    if not new:
        return [*lines, f"# every {'other ' if lines else ''}value of {key} is a sample's"]
    lines.append(f"# {len(new)} values of {key} are no sample's; set donor and condition of those that are samples:")
    return [*lines, *(entry(f"{dataset['id']}_{value}", value, f"{values[value]} cells") for value in new)]


def of_one_matrix(dataset: Mapping[str, Any], members: Sequence[Member], genes: GeneTable) -> list[str]:
    """One matrix and one sample: what its cells could be told apart by."""
    record = _record(dataset)
    tables = tables_beside.found_tables(record, members)
    barcodes, obs = _cells(record, members, tables, genes)
    lines = [f"# one sample of {len(barcodes)} cells, the first {', '.join(map(str, barcodes[:3]))}"]
    for pattern in (r"-(\d+)$", r"^([A-Za-z0-9.]+)[_:-]", r"[_:-]([A-Za-z0-9.]+)$"):
        ends = Counter(m[1] for barcode in barcodes if (m := re.search(pattern, str(barcode))))
        if ends.total() == len(barcodes) and _tells_apart(ends):
            lines.append(f"# split_by: {{barcode: '{pattern}'}} gives {_few(ends)}")
            break
    frames = [("obs", obs)] if obs is not None else []
    frames += [("cells", tables_beside.frame(tables["cells"]))] if "cells" in tables else []
    for how, frame in frames:
        for name in frame.columns:
            values = Counter(filter(None, frame[name].astype(str)))
            if _tells_apart(values):
                lines.append(f"# split_by: {{{how}: {name}}} gives {_few(values)}")
    return lines


def _tells_apart(values: Counter[str]) -> bool:
    """Whether values may be samples: a few, of several cells each."""
    return SEVERAL <= len(values) <= MANY and values.total() >= FEWEST_CELLS * len(values)


def _few(values: Counter[str]) -> str:
    shown = ", ".join(f"{value} ({number})" for value, number in sorted(values.items())[:SHOWN])
    return f"{len(values)} samples: {shown}{', ...' if len(values) > SHOWN else ''}"


def entry(id_: str, match: str, about: str) -> str:
    """A line of `samples:` whose donor and condition are still to be set."""
    clean, quoted = _clean(id_), json.dumps(match, ensure_ascii=False)
    return f'  - {{id: "{clean}", match: {quoted}, donor: "{clean}", condition: other}}  # {" ".join(about.split())}'


def _record(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a sample that would hold all cells."""
    one = {**dataset, "samples": [{"id": dataset["id"], "layout": dataset["samples"][0].get("layout")}]}
    return next(iter(datasets.records({dataset["id"]: one}, exclude=[]).values()))


def _cells(
    record: Mapping[str, Any], members: Sequence[Member], tables: Mapping[str, Member], genes: GeneTable
) -> tuple[np.ndarray, pd.DataFrame | None]:
    """Barcodes of the matrix and its own columns; values are read only by readers that need them for that."""
    reader = importlib.import_module(f"brainmet.ingest.{record['layout']}")
    data = [member for member in members if member not in tables.values()]
    raw = reader.read(Request(files=data, genes=genes, names_only=True))
    if not len(raw.barcodes):
        raise BrainmetError(f"{raw.name}: holds no cells; check the file")
    return raw.barcodes, raw.obs
