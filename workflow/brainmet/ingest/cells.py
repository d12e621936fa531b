"""What is known of each cell of a sample: the `obs` of the contract, from all that says something of it.

Where several speak of one column the last of these stands: the sample's entry, the patterns of bulk profiles, the cells
table where it says anything. Covariates of the sample are added where the table has no column of that name.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brainmet.conditions import CONDITIONS
from brainmet.contract import CELL_ID, Obs
from brainmet.errors import BrainmetError
from brainmet.ingest import profiles, tables_beside
from brainmet.ingest.members import Member
from brainmet.ingest.raw import Raw

log = logging.getLogger(__name__)

OF_EVERY_CELL = (
    Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE
)  # fmt: skip
"""Columns that every sample has, in their order."""
SET_BY_TABLE = (Obs.DONOR, Obs.CONDITION, Obs.STUDY)
"""What a cells table may say of each cell instead of the sample's entry."""
MISSING = ("", "NA", "N/A", "nan", "NaN", "None", "NULL", "<NA>")
"""What R, pandas and spreadsheets write where nothing is known."""
Columns = dict[str, np.ndarray]


def describe_cells(
    raw: Raw, record: Mapping[str, Any], tables: Mapping[str, Member], organism: np.ndarray | None
) -> pd.DataFrame:
    """The contract's `obs` of a sample.

    Args:
        raw: its cells.
        record: its record.
        tables: the tables of cells and labels, by role.
        organism: of each cell of a mixture.

    Returns:
        Index cell id, `{sample}:{barcode}`; the columns of `OF_EVERY_CELL`, then those of the table as `author_{name}`.
    """
    table = tables_beside.cell_table(raw.barcodes, record, tables)
    if table is None:
        table = tables_beside.named_columns(raw, record)
    columns = columns_of_record(record, len(raw.barcodes)) | columns_of_labels(raw, record, tables, table)
    if record["suspension"] == "bulk":
        columns |= columns_of_profiles(raw, record, listed="cells" in tables)
    if table is not None:
        columns |= columns_of_table(table, columns, record, tables.get("cells"), name=raw.name)
    covariates = {f"author_{name}": value for name, value in (record.get("covariates") or {}).items()}
    columns |= {name: _repeated(value, len(raw.barcodes)) for name, value in covariates.items() if name not in columns}
    if organism is not None:
        columns[Obs.ORGANISM] = organism
    index = pd.Index([f"{record['id']}:{barcode}" for barcode in raw.barcodes], name=CELL_ID, dtype=object)
    return pd.DataFrame(columns, index=index)


def columns_of_record(record: Mapping[str, Any], n: int) -> Columns:
    """What the sample's entry says of all its cells, with empty columns for the authors' labels.

    Args:
        record: of the sample.
        n: number of cells.
    """
    stated = {
        Obs.DATASET: record["dataset"],
        Obs.STUDY: record["study"],
        Obs.SAMPLE: record["id"],
        Obs.DONOR: record["donor"],
        Obs.CONDITION: record["condition"],
    }
    return {name: _repeated(str(stated.get(name, "")), n) for name in OF_EVERY_CELL}


def columns_of_labels(
    raw: Raw, record: Mapping[str, Any], tables: Mapping[str, Member], table: pd.DataFrame | None
) -> Columns:
    """The authors' label of each cell, and the type of ours that the entry maps it to."""
    label = tables_beside.author_labels(raw, record, tables, table)
    label = np.where(np.isin(label, MISSING), "", label)
    types = (record.get("labels") or {}).get("map") or {}
    return {Obs.AUTHOR_LABEL: label, Obs.AUTHOR_CELL_TYPE: tables_beside.mapped(label, types, name=raw.name)}


def columns_of_profiles(raw: Raw, record: Mapping[str, Any], *, listed: bool) -> Columns:
    """Donor and condition of each profile of bulk tissue.

    Args:
        raw: the profiles.
        record: of the sample; its entry alone describes a sample of one profile.
        listed: whether a table describes them.
    """
    patterns = record.get("profiles") or []
    if not patterns and (listed or len(raw.barcodes) == 1):
        return {}
    about = None if raw.obs is None or profiles.ABOUT not in raw.obs else raw.obs[profiles.ABOUT].to_numpy(object)
    donors, conditions = profiles.described(raw.barcodes, about, patterns, record=record)
    return {Obs.DONOR: donors, Obs.CONDITION: conditions}


def columns_of_table(
    table: pd.DataFrame, columns: Columns, record: Mapping[str, Any], member: Member | None, *, name: str
) -> Columns:
    """What the cells table says: donor, condition and study where it says anything, all else under `author_`.

    Args:
        table: in the order of the cells.
        columns: what is known before.
        record: of the sample.
        member: the file of the table, for messages.
        name: the file of the matrix, for messages.
    """
    result: Columns = {}
    named = tables_beside.under_our_names(table, record["cells"].get("columns") or {}, member)
    for ours, column in named.items():
        values = column.astype(str).to_numpy(object)
        if ours in SET_BY_TABLE:
            stated = _stated(ours, values, record["cells"].get("conditions"), name)
            result[ours] = np.where(stated == "", columns[ours], stated)
            continue
        carried = ours if ours.startswith(("author_", "truth_")) else f"author_{ours}"
        # The table's own `cell_type` is no type of ours: it must not take the place of the mapped label.
        result[f"{carried}_given" if carried in OF_EVERY_CELL else carried] = values
    return result


def _repeated(value: Any, n: int) -> np.ndarray:
    return np.array([value] * n, dtype=object)


def _stated(name: str, values: np.ndarray, conditions: dict[str, str] | None, where: str) -> np.ndarray:
    """What the cells' table says of each cell's donor, study or condition, empty where it says nothing.

    Raises:
        BrainmetError: a condition is none of ours, and the entry maps none; or a study holds `;`.
    """
    if name == Obs.CONDITION and conditions is not None:
        return tables_beside.mapped(values, conditions, name=where, field="cells: conditions")
    stated = np.where(np.isin(values, MISSING), "", values)
    if name == Obs.STUDY and (joined := sorted(value for value in set(stated) if ";" in value)):
        raise BrainmetError(f"{where}: the study {joined[0]!r} holds ';', which joins studies in tables; rename it")
    if name == Obs.CONDITION and (foreign := sorted(set(stated) - {"", *CONDITIONS})):
        raise BrainmetError(
            f"{where}: the cells' column condition says {foreign[0]!r}, which is no condition (allowed: "
            f"{', '.join(CONDITIONS)}); map it under cells: conditions in the dataset file, where what is not mapped "
            "takes the sample's condition (conditions: {} maps nothing)"
        )
    log.info("%s: %s of %d cells is that of their table", where, name, (stated != "").sum())
    return stated
