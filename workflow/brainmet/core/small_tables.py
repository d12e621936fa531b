"""Small tables that people write: text of any encoding and separator, or a sheet of a workbook.

One set of rules for covariates, cells, labels and features. Dataset files are read at parse time and may name such a
table, so nothing here imports more than the standard library; openpyxl is imported where a workbook is given.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

SEPARATORS = ("\t", ",", ";", " ")
QUOTED = re.compile(r'"[^"]*"')
WORKBOOK = re.compile(r"\.xlsx$", re.IGNORECASE)
LOOKED_AT = 20
"""Lines among which the separator of a text, or the header of a sheet, is looked for."""
SAYS_NOTHING = frozenset(("", "na", "n/a", "nan", "<na>", "null", "#n/a"))
"""What people and programs write where a value is missing, in small letters. `none` is not among them: it is a word."""
UNNAMED = "index"
"""Name of a column without one, as pandas and R leave it above row names."""
ERRORS = frozenset(("#N/A", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"))
"""What a spreadsheet shows where a formula has no result."""


class Table(NamedTuple):
    """Names of the columns, and the rows as text: as many values in each as there are names."""

    header: list[str]
    rows: list[list[str]]


def read_table(name: str, data: bytes) -> Table:
    """A text, or the fullest sheet of a workbook, without blanks around names and values.

    Args:
        name: of the file, whose suffix tells a workbook.
        data: its bytes.

    Raises:
        ValueError: the file is no table; the message says why.
    """
    return read_workbook(data) if WORKBOOK.search(name) else read_text(decode(data))


def read_text(text: str) -> Table:
    """A table in a text, below its comments; the header may lack a name above row names, as R writes it.

    Raises:
        ValueError: a line has more values than the header has names.
    """
    text = without_comments(text)
    mark = separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        lines = [(reader.line_num, [part.strip() for part in line]) for line in reader if any(map(str.strip, line))]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if not lines:
        raise ValueError("it is empty")
    header, rows = lines[0][1], lines[1:]
    if rows and all(len(row) == len(header) + 1 and row[-1] for _, row in rows):
        header = ["", *header]
    width = len(header)
    for number, row in rows:
        if any(row[width:]):
            raise ValueError(
                f"line {number} has more values than the header has names; a text with {mark!r} in it needs quotes"
            )
    return _table(header, [row for _, row in rows])


def read_workbook(data: bytes) -> Table:
    """The sheet with most filled cells, below its title lines.

    Raises:
        ValueError: the file is no workbook, or that sheet has no rows below a header.
    """
    from openpyxl import load_workbook

    try:
        sheets = load_workbook(io.BytesIO(data), read_only=True, data_only=True).worksheets
        tables = [_filled(sheet) for sheet in sheets]
    except Exception as error:  # Whatever a damaged archive of XML makes of its reader.
        raise ValueError(f"it is no workbook: {error}") from error
    lines = max(tables, key=lambda lines: sum(map(_number_filled, lines)), default=[])
    at = _header(lines)
    if len(lines) < at + 2:
        raise ValueError(f"its fullest sheet holds {len(lines)} lines; a table needs a header and rows")
    return _table(lines[at], lines[at + 1 :])


def decode(data: bytes) -> str:
    """A text in UTF-8, in UTF-16 with its mark, else as Windows writes it in western Europe (cp1252), which lacks a few
    bytes that Latin-1 has.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def separator(text: str) -> str:
    """The separator that cuts the first lines into the same number of parts, more than one; where none does, the one
    that the header holds most of; tab where it holds none.
    """
    head = [line for line in text.splitlines()[:LOOKED_AT] if line.strip()]
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
    return max(SEPARATORS[:-1], key=bare[0].count) if bare else "\t"


def without_comments(text: str) -> str:
    """The text from its header on: lines that begin with `#` and are not cut like those below are comments."""
    lines = text.splitlines(keepends=True)
    at = 0
    while at < len(lines) and (lines[at].startswith("#") or not lines[at].strip()):
        at += 1
    if at and at < len(lines) and lines[at - 1].startswith("#"):
        mark = separator("".join(lines[at : at + LOOKED_AT]))
        if mark in lines[at] and lines[at - 1].count(mark) == lines[at].count(mark):
            at -= 1
    return "".join(lines[at:])


def column_name(name: object) -> str:
    """The name of a column without blanks around it; `index` where it has none."""
    text = str(name).strip()
    return UNNAMED if text == "" or text.startswith("Unnamed: 0") else text


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Names and rows of one width, without columns that have neither a name nor a value."""
    width = len(header)
    padded = [[*row[:width], *[""] * (width - len(row))] for row in rows]
    used = [i for i in range(width) if header[i] or any(row[i] for row in padded)]
    return Table([column_name(header[i]) for i in used], [[row[i] for i in used] for row in padded])


def _filled(sheet: Any) -> list[list[str]]:
    """Lines of a sheet that hold anything, as text."""
    sheet.reset_dimensions()  # Some programs write a wrong size, and rows beyond it would be lost.
    lines = ([_as_text(value) for value in line] for line in sheet.iter_rows(values_only=True))
    return [line for line in lines if any(line)]


def _as_text(value: Any) -> str:
    if value is None or value in ERRORS:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _number_filled(line: Sequence[str]) -> int:
    return sum(map(bool, line))


def _header(lines: Sequence[Sequence[str]]) -> int:
    """Number of the header: the first line that fills as many cells as any, or all but the first, as an index without a
    name has it. Titles above it fill a cell or two.
    """
    width = max(map(_number_filled, lines[:LOOKED_AT]), default=0)
    full = (n for n, line in enumerate(lines) if _number_filled(line) + (not line[0]) >= width)
    return next(full, 0)
