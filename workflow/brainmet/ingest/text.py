"""Small tables: features, barcodes, labels, cells; as text, in a workbook or in parquet."""

import io
import re

import pandas as pd

from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member

SEPARATORS = ("\t", ",", ";", " ")
QUOTED = re.compile(r'"[^"]*"')
WORKBOOK = re.compile(r"\.xlsx$", re.IGNORECASE)
PARQUET = re.compile(r"\.(parquet|pq)$", re.IGNORECASE)
TITLES = 20
"""Lines of a sheet among which its header is looked for."""


def decoded(member: Member) -> str:
    """Text of a small file: UTF-8, UTF-16 with its mark, else Latin-1."""
    data = member.read()
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines(member: Member) -> list[str]:
    """Lines without their ends and without trailing empty lines."""
    found = decoded(member).splitlines()
    while found and not found[-1].strip():
        found.pop()
    return found


def separator(text: str) -> str:
    """The separator that cuts the first lines into the same number of parts, more than one; tab when none does."""
    head = [line for line in text.splitlines()[:20] if line.strip()]
    bare = [QUOTED.sub('""', line) for line in head]
    # Blanks stand in plain text too, unless all of it is quoted.
    quoted = all('"' in line for line in head)
    for mark in SEPARATORS:
        cuts = [line.count(mark) for line in bare]
        width = max(cuts, default=0)
        # The header may be one short: a table written by R with row names.
        short = cuts[:1] == [width - 1] and (quoted or (mark != " " and width > 1))
        if width and set(cuts[1:]) <= {width} and (cuts[0] == width or short):
            return mark
    return "\t"


def _without_comments(text: str) -> str:
    """The text from its header on: lines that begin with `#` and are not cut like those below are comments."""
    lines = text.splitlines(keepends=True)
    at = 0
    while at < len(lines) and (lines[at].startswith("#") or not lines[at].strip()):
        at += 1
    if at and at < len(lines) and lines[at - 1].startswith("#"):
        mark = separator("".join(lines[at : at + 20]))
        if mark in lines[at] and lines[at - 1].count(mark) == lines[at].count(mark):
            at -= 1
    return "".join(lines[at:])


def table(member: Member, *, sep: str = "auto", header: bool = True) -> pd.DataFrame:
    """A small table, all columns as text, without blanks around names and values; the first column keeps its name, an
    empty name becomes `index`. Of a workbook the sheet with most rows, below its title lines.

    Raises:
        BrainmetError: the rows do not have the same number of columns, or a workbook cannot be read.
    """
    if WORKBOOK.search(member.name):
        return _sheet(member)
    if PARQUET.search(member.name):
        return _parquet(member)
    text = _without_comments(decoded(member))
    mark = separator(text) if sep == "auto" else sep
    try:
        frame = pd.read_csv(io.StringIO(text), sep=mark, dtype=str, keep_default_na=False, header=0 if header else None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BrainmetError(f"{member}: cannot be read as a table ({error}); give its separator as sep:") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if re.search(f'[ \t]"?{re.escape(mark)}|{re.escape(mark)}"?[ \t]', text) and mark in ",;":
        frame = frame.apply(lambda column: column.str.strip())
    frame.columns = pd.Index([_named(c) for c in frame.columns])
    return frame


def _named(column: object) -> str:
    name = str(column).strip()
    return "index" if name == "" or name.startswith("Unnamed: 0") else name


def _parquet(member: Member) -> pd.DataFrame:
    """A parquet table as text; what lacks a value is empty."""
    import pyarrow as pa

    try:
        frame = pd.read_parquet(io.BytesIO(member.read()))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrainmetError(f"{member}: cannot be read as parquet ({error}); delete it and fetch it again") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = pd.Index([_named(c) for c in frame.columns])
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _sheet(member: Member) -> pd.DataFrame:
    """The largest sheet of a workbook as text."""
    import zipfile

    try:
        sheets = pd.read_excel(io.BytesIO(member.read()), sheet_name=None, header=None, dtype=str, na_filter=False)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise BrainmetError(f"{member}: cannot be read as xlsx ({error}); delete it and fetch it again") from error
    sheet = max(sheets.values(), key=len)
    sheet = sheet[(sheet != "").any(axis=1)].reset_index(drop=True)
    if len(sheet) < 2:
        raise BrainmetError(f"{member}: its largest sheet holds {len(sheet)} lines; a table needs a header and rows")
    # The header is the first of the fullest lines: titles above it fill a cell or two.
    at = int((sheet.iloc[:TITLES] != "").sum(axis=1).to_numpy().argmax())
    body = sheet.iloc[at + 1 :].reset_index(drop=True).apply(lambda column: column.str.strip())
    return body.set_axis([_named(name) for name in sheet.iloc[at]], axis=1)
