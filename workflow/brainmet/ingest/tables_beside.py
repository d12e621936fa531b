"""Tables beside a matrix: which of its cells are a sample's, what is said of each, and the authors' labels."""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from brainmet.core.barcodes import is_listed, match_rows, plain
from brainmet.core.names import ACCESSION
from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member, select
from brainmet.ingest.raw import CellFilter, Raw
from brainmet.ingest.text import table

log = logging.getLogger(__name__)


def found_tables(record: Mapping[str, Any], members: Sequence[Member]) -> dict[str, Member]:
    """The members that hold the cells table and the labels, by role; some samples of a series may lack labels."""
    named = {
        role: _named(spec["file"], record, members, role=role)
        for role in ("cells", "labels")
        if (spec := record.get(role)) and spec.get("file")
    }
    return {role: member for role, member in named.items() if member is not None}


@lru_cache(maxsize=4)
def _table(member: Member, sep: str) -> pd.DataFrame:
    """A table of the sample, read once; not to be changed."""
    return table(member, sep=sep)


def _named(name: str, record: Mapping[str, Any], members: Sequence[Member], *, role: str) -> Member | None:
    """The member of a name; or, with one table per sample, the sample's member that ends with the name. None where only
    other samples have labels."""
    hits = [member for member in members if name in (member.name, member.path.name)]
    if len(hits) != 1 and record.get("match"):
        # One table per folder, all of one name, or with the sample's name in front of it.
        ending = hits or [member for member in members if member.name.endswith(name)]
        of_sample = select(ending, record["match"], optional=True)
        hits = of_sample or hits
        if not of_sample and ending and role == "labels":
            log.warning(
                "%s: %s: no file of the sample ends with %s; its cells stay without labels", record["id"], role, name
            )
            return None
    if len(hits) != 1:
        word = f"{len(hits)} files are named" if hits else "no file is named"
        known = ", ".join(sorted(member.name for member in members)[:6])
        raise BrainmetError(f"{role}: {word} {name} (there are {known}); correct {role}: file in the dataset file")
    return hits[0]


def frame(member: Member, *, sep: str = "auto") -> pd.DataFrame:
    """A table beside a matrix, all columns as text."""
    return _table(member, sep).copy()


def column(member: Member, name: str, *, sep: str) -> np.ndarray:
    """One column of a table beside a matrix."""
    values = _table(member, sep)
    if name not in values:
        raise BrainmetError(
            f"{member}: has no column {name} ({', '.join(values.columns)}); correct it in the dataset file"
        )
    return values[name].to_numpy(object)


def cell_filter(record: Mapping[str, Any], tables: Mapping[str, Member]) -> CellFilter:
    """Which cells the reader may leave out."""
    of_sample = listed = keys = None
    if record.get("split_by") and record.get("match") is not None:
        of_sample = partial(_is_own, record, tables)
    if role := next((role for role in ("cells", "labels") if role in tables), None):
        rows, key = _rows_of_sample(record, tables, role)
        keys = rows[key].to_numpy(object)
        listed = partial(is_listed, keys=keys)
    return CellFilter(of_sample=of_sample, listed=listed, keys=keys)


def _is_own(
    record: Mapping[str, Any], tables: Mapping[str, Member], barcodes: np.ndarray, obs: pd.DataFrame | None
) -> np.ndarray:
    """Mask of this sample's cells, where one matrix holds many samples."""
    return sample_of(record, tables, barcodes, obs) == str(record["match"])


def sample_of(
    record: Mapping[str, Any], tables: Mapping[str, Member], barcodes: np.ndarray, obs: pd.DataFrame | None
) -> np.ndarray:
    """Value of `split_by` of every cell."""
    ((how, key),) = record["split_by"].items()
    if how == "barcode":
        matches = (re.search(key, str(barcode)) for barcode in barcodes)
        return np.array([m.group(1) if m and m.groups() else "" for m in matches], dtype=object)
    if how == "obs":
        if obs is None or key not in obs:
            columns = "no columns" if obs is None else ", ".join(obs.columns)
            raise BrainmetError(
                f"{record['dataset']}.yaml: split_by: obs has no column {key} ({columns}); correct split_by in the "
                f"dataset file"
            )
        return obs[key].to_numpy(object)
    joined = cell_table(barcodes, record, tables)
    if joined is None or key not in joined:
        raise BrainmetError(
            f"split_by: the cells table has no column {key}; correct split_by or cells in the dataset file"
        )
    return joined[key].to_numpy(object)


def own_cells(raw: Raw, record: Mapping[str, Any], tables: Mapping[str, Member]) -> Raw:
    """The cells of this sample, where one matrix holds many samples."""
    if not record.get("split_by") or record.get("match") is None:
        return raw
    values = sample_of(record, tables, raw.barcodes, raw.obs)
    is_own = values == str(record["match"])
    if not is_own.any():
        ((_, key),) = record["split_by"].items()
        known = ", ".join(sorted({str(v) for v in values if v})[:8]) or "none"
        raise BrainmetError(
            f"{raw.name}: no cell has {key} {record['match']!r} (values: {known}); correct match in the dataset file, "
            "for which `snakemake discover` prints the lines that its cells call for"
        )
    log.info("%s: %d cells are this sample's", raw.name, is_own.sum())
    return raw if is_own.all() else raw.cells(is_own)


def cell_table(barcodes: np.ndarray, record: Mapping[str, Any], tables: Mapping[str, Member]) -> pd.DataFrame | None:
    """The cells table in the order of the cells, empty strings where it says nothing; None when there is none."""
    if "cells" not in tables:
        return None
    member = tables["cells"]
    frame, key = _rows_of_sample(record, tables, "cells")
    if record["cells"].get("sample") and not len(frame):
        raise BrainmetError(f"{_no_row(record, tables, 'cells')}; correct cells: sample, or add its rows")
    values = np.array(["\x1f".join(row) for row in frame.astype(str).itertuples(index=False)], dtype=object)
    rows = match_rows(
        barcodes, frame[key].to_numpy(object), values=values, name=str(member), sample_names=_names_of(record)
    )
    taken = frame.iloc[np.maximum(rows, 0)].reset_index(drop=True)
    taken.loc[rows < 0] = ""
    if (rows < 0).any():
        log.warning("%s: %d of %d cells are not in the table", member, (rows < 0).sum(), len(rows))
    return taken.drop(columns=key)


def under_our_names(frame: pd.DataFrame, columns: Mapping[str, str], member: Member | None) -> dict[str, pd.Series]:
    """Columns of a table by our names for them, in the table's order; one that has such a name but is not meant by it
    is left out.

    Args:
        frame: the table.
        columns: our name to the table's.
        member: the file of the table, for the message.

    Raises:
        BrainmetError: the table lacks a column.
    """
    if lacking := [theirs for theirs in columns.values() if theirs not in frame]:
        raise BrainmetError(
            f"{member}: has no column {lacking[0]} ({', '.join(frame.columns)}); correct cells: columns in the dataset "
            "file"
        )
    result: dict[str, pd.Series] = {}
    for theirs in frame.columns:
        ours = [our for our, their in columns.items() if their == theirs]
        result |= dict.fromkeys(ours or ([] if theirs in columns else [theirs]), frame[theirs])
    return result


def named_columns(raw: Raw, record: Mapping[str, Any]) -> pd.DataFrame | None:
    """What a `cells` entry without a file names of the matrix's own columns, in the order of the cells."""
    spec = record.get("cells") or {}
    if spec.get("file") or not spec.get("columns"):
        return None
    obs = pd.DataFrame() if raw.obs is None else raw.obs
    for theirs in spec["columns"].values():
        if theirs not in obs:
            raise BrainmetError(
                f"{raw.name}: cells: columns: obs has no column {theirs} ({', '.join(obs.columns) or 'none at all'}); "
                "correct columns in the dataset file, or name the file of the table"
            )
    return obs[list(dict.fromkeys(spec["columns"].values()))].reset_index(drop=True)


def _key_column(frame: pd.DataFrame, barcode: str | None, member: Member, *, role: str) -> str:
    """The column of barcodes; an unnamed first column may be called anything but a column's name."""
    if barcode and barcode in frame:
        return barcode
    if barcode in (None, "", "index", "Unnamed: 0") or frame.columns[0] == "index":
        return str(frame.columns[0])
    raise BrainmetError(
        f"{member}: has no column {barcode} ({', '.join(frame.columns)}); correct {role}: barcode in the dataset file"
    )


def _rows_of_sample(record: Mapping[str, Any], tables: Mapping[str, Member], role: str) -> tuple[pd.DataFrame, str]:
    """The rows of a table that are this sample's, all where no column names the sample of each; and which column holds
    the barcodes."""
    spec, member = record[role], tables[role]
    frame = _table(member, spec.get("sep") or "auto")
    key = _key_column(frame, spec.get("barcode"), member, role=role)
    by = spec.get("sample")
    if not by:
        return frame, key
    if by not in frame:
        raise BrainmetError(
            f"{member}: has no column {by} ({', '.join(frame.columns)}); correct {role}: sample in the dataset file"
        )
    for spell in (plain, _letters):
        rows = frame[frame[by].map(spell).isin([spell(name) for name in _names_of(record)])]
        if len(rows) and (spell is plain or rows[by].map(plain).nunique() == 1):
            return rows, key
    return frame.iloc[:0], key


def _no_row(record: Mapping[str, Any], tables: Mapping[str, Member], role: str) -> str:
    """What a table says instead of naming this sample, as a sentence to be ended."""
    spec, member = record[role], tables[role]
    values = ", ".join(sorted(set(column(member, spec["sample"], sep=spec.get("sep") or "auto")))[:8])
    return f"{member}: no row has {spec['sample']} {' or '.join(_names_of(record))} (there are {values})"


def _letters(name: str) -> str:
    """Letters and digits without the accession: GSM1_BrM-01 is BrM01. Numbers stay apart: BM1_1 is not BM11."""
    numbers = re.split(r"(?<=\d)[^A-Z0-9]+(?=\d)", ACCESSION.sub("", str(name).strip().upper()))
    return "-".join(re.sub(r"[^A-Z0-9]", "", part) for part in numbers)


def _names_of(record: Mapping[str, Any]) -> list[str]:
    """Names the sample goes by in barcodes: its id, its match, and the match without the accession."""
    match = str(record.get("match") or "")
    return [name for name in dict.fromkeys([record["id"], match, ACCESSION.sub("", match)]) if name]


def author_labels(
    raw: Raw, record: Mapping[str, Any], tables: Mapping[str, Member], cells: pd.DataFrame | None
) -> np.ndarray:
    """The authors' label of every cell, empty where there is none."""
    spec = record.get("labels")
    if not spec:
        return np.array([""] * len(raw.barcodes), dtype=object)
    column = spec["column"]
    if "labels" not in tables:
        if spec.get("file"):
            return np.array([""] * len(raw.barcodes), dtype=object)
        for frame in (cells, raw.obs):
            if frame is not None and column in frame:
                return frame[column].astype(str).to_numpy(object)
        raise BrainmetError(
            f"labels: neither the cells table nor obs has a column {column}; correct labels: column in the dataset file"
        )
    member = tables["labels"]
    frame, key = _rows_of_sample(record, tables, "labels")
    if column not in frame:
        raise BrainmetError(
            f"{member}: has no column {column} ({', '.join(frame.columns)}); correct labels: column in the dataset file"
        )
    if spec.get("sample") and not len(frame):
        log.warning("%s; the cells stay without labels", _no_row(record, tables, "labels"))
        return np.array([""] * len(raw.barcodes), dtype=object)
    values = frame[column].to_numpy(object)
    rows = match_rows(
        raw.barcodes, frame[key].to_numpy(object), values=values, name=str(member), sample_names=_names_of(record)
    )
    return np.where(rows >= 0, values[np.maximum(rows, 0)], "").astype(object)


def mapped(labels: np.ndarray, to_types: dict[str, str], *, name: str, field: str = "labels: map") -> np.ndarray:
    """Labels as our cell types, or values as our conditions, by the map of the dataset file.

    What the map lacks is empty and named in the log, never guessed.
    """
    unmapped = pd.Series([label for label in labels if label and label not in to_types], dtype=object).value_counts()
    if len(unmapped):
        log.warning(
            "%s: not in %s: %s",
            name,
            field,
            ", ".join(f"{k} ({n} cells)" for k, n in unmapped.items()),
        )
    return np.array([to_types.get(label, "") for label in labels], dtype=object)
