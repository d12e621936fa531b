"""Tables in xlsx workbooks: the first sheet that holds names and columns of numbers, below any title lines."""

import datetime
import io

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.gaps import without_gaps
from brainmet.ingest.members import Member
from brainmet.ingest.raw import Raw
from brainmet.ingest.table_format import GENE_COLUMNS
from brainmet.knowledge.genes import GeneTable

TITLES = 20
"""Lines looked at for the header."""
MOST = 0.8
"""Share of numbers among the values of a column that makes it one of a cell or profile."""


def read_workbook(member: Member, genes: GeneTable) -> Raw:
    """Genes × cells (or profiles) of the first sheet that holds them.

    Raises:
        BrainmetError: the file is no workbook, no sheet is such a table, or most genes lack values.
    """
    try:
        sheets = pd.read_excel(io.BytesIO(member.read()), sheet_name=None, header=None)
    except BrainmetError:
        raise
    except Exception as error:  # whatever a damaged archive of XML makes of its reader
        raise BrainmetError(f"{member}: cannot be read as xlsx ({error}); delete it and fetch it again") from error
    for sheet in sheets.values():
        if (table := _table(sheet)) is not None:
            frame, texts = table
            known = [np.mean([genes.knows(str(x)) for x in frame[column][:1000]]) for column in texts]
            names = np.array([_name(x) for x in frame[texts[int(np.argmax(known))]]], dtype=object)
            values = [c for c in frame if c not in texts and not GENE_COLUMNS.match(str(c))]
            return from_frame(frame[values].apply(pd.to_numeric, errors="coerce"), names, member)
    raise BrainmetError(f"{member}: no sheet has a column of names and columns of numbers; give the table as text")


def _table(sheet: pd.DataFrame) -> tuple[pd.DataFrame, list[str]] | None:
    """The rows below the header under its names, and which columns hold text."""
    for at in range(min(TITLES, len(sheet) - 1)):
        body, header = sheet.iloc[at + 1 :], sheet.iloc[at]
        numeric = body.apply(_holds_numbers)
        titled = [isinstance(name, str) or pd.api.types.is_number(name) for name in header[numeric]]
        if numeric.sum() >= 2 and not numeric.all() and all(titled) and header[numeric].notna().all():
            frame = body.set_axis([str(name).strip() for name in header], axis=1)
            return frame, [name for name, number in zip(frame.columns, numeric, strict=True) if not number]
    return None


def _holds_numbers(column: pd.Series) -> bool:
    """Whether most of what a column holds are numbers: a sheet of counts may leave its zeros blank."""
    written = column.notna().sum()
    return bool(written and pd.to_numeric(column, errors="coerce").notna().sum() > MOST * written)


def _name(value: object) -> str:
    """A gene's name; what the spreadsheet made a date is written as spreadsheets show it, to be repaired as such."""
    return f"{value.day}-{value:%b}" if isinstance(value, datetime.datetime) else str(value).strip()


def from_frame(frame: pd.DataFrame, names: np.ndarray, member: Member, *, blank_may_be_zero: bool = True) -> Raw:
    """Cells or profiles × genes of a table of genes × cells or profiles.

    Args:
        frame: numbers, one row per gene.
        names: names of the genes.
        member: the file, for messages.
        blank_may_be_zero: whether a table that writes no zero may leave its zeros blank, as those of counts do.

    Raises:
        BrainmetError: most genes lack values.
    """
    values = frame.to_numpy(np.float64).T
    gap = ~np.isfinite(values)
    raw = Raw(
        matrix=sp.csr_matrix(np.where(gap, 0, values)),
        barcodes=np.array([str(column).strip() for column in frame.columns], dtype=object),
        names=names,
        name=str(member),
    )
    zeros = int((values == 0).sum()) if blank_may_be_zero else None
    return without_gaps(raw, gap.sum(axis=0), zeros=zeros)
