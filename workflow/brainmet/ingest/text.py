"""Small tables among the files of a series: features, barcodes, labels, cells; as text, in a workbook or in parquet."""

import io
import re

import pandas as pd

from brainmet.core import small_tables
from brainmet.core.small_tables import WORKBOOK, column_name, separator, without_comments
from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member

PARQUET = re.compile(r"\.(parquet|pq)$", re.IGNORECASE)


def decoded(member: Member) -> str:
    """The text of a small file, in whatever encoding it is written."""
    return small_tables.decode(member.read())


def lines(member: Member) -> list[str]:
    """Lines without their ends and without trailing empty lines."""
    result = decoded(member).splitlines()
    while result and not result[-1].strip():
        result.pop()
    return result


def table(member: Member, *, sep: str = "auto", header: bool = True) -> pd.DataFrame:
    """A small table, all columns as text, without blanks around names and values; the first column keeps its name, an
    empty name becomes `index`. Of a workbook the fullest sheet, below its title lines.

    Text is cut by the parser of pandas: tables of a whole atlas' cells are small among files, not among lists.

    Raises:
        BrainmetError: the rows do not have the same number of columns, or a workbook cannot be read.
    """
    if WORKBOOK.search(member.name):
        return _sheet(member)
    if PARQUET.search(member.name):
        return _parquet(member)
    text = without_comments(decoded(member))
    mark = separator(text) if sep == "auto" else sep
    try:
        frame = pd.read_csv(io.StringIO(text), sep=mark, dtype=str, keep_default_na=False, header=0 if header else None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BrainmetError(f"{member}: cannot be read as a table ({error}); give its separator as sep:") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if re.search(f'[ \t]"?{re.escape(mark)}|{re.escape(mark)}"?[ \t]', text) and mark in ",;":
        frame = frame.apply(lambda column: column.str.strip())
    frame.columns = pd.Index([column_name(c) for c in frame.columns])
    return frame


def _parquet(member: Member) -> pd.DataFrame:
    """A parquet table as text; what lacks a value is empty."""
    import pyarrow as pa

    try:
        frame = pd.read_parquet(io.BytesIO(member.read()))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrainmetError(f"{member}: cannot be read as parquet ({error}); delete it and fetch it again") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = pd.Index([column_name(c) for c in frame.columns])
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _sheet(member: Member) -> pd.DataFrame:
    """The fullest sheet of a workbook as text."""
    try:
        header, rows = small_tables.read_workbook(member.read())
    except ValueError as error:
        raise BrainmetError(f"{member}: cannot be read as xlsx ({error}); delete it and fetch it again") from error
    return pd.DataFrame(rows, columns=pd.Index(header), dtype=object)
