"""How a dense table is written: separator, header, what each column is, told from its first lines."""

import re
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np

from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member

VALUE, TEXT, SKIP = 0, 1, 2
"""What a column is to the parser."""
NUMBER = re.compile(rb"^([-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+)|NA|NaN|nan)$")
MARK = re.compile(rb"^[^A-Za-z0-9]+$")
"""What may stand for a number and is none."""
NAMES = re.compile(r"^(|index|x|v1|unnamed.*|.*_?ids?|.*names?|cells?|genes?|.*barcodes?)$", re.IGNORECASE)
"""Headers of a first column that holds names, even where the names are bare numbers."""
GENE_COLUMNS = re.compile(
    r"^(gene[_. ]?|transcript[_. ]?|exon[_. ]?)?(start|end|stop|length|width|strand)([_. ]?(position|bp))?$"
    r"|^chr(om(osome)?)?([_. ]?(name|scaffold))?$|^(gene[_. ]?)?(entrez|ncbi)([_. ]?gene)?([_. ]?(id|accession))?$"
    r"|^(row[_. ]?)?(totals?|sums?|means?|averages?|medians?)$",
    re.IGNORECASE,
)
"""Columns of numbers that describe genes, as featureCounts and spreadsheets write them: no cells."""
DECIMAL_COMMA = re.compile(rb"^[-+]?(0|[1-9]\d*),\d+$")
THOUSANDS = re.compile(rb"^[1-9]\d{0,2}(,\d{3})+$")
LARGE = re.compile(rb"^[1-9]\d{3,}$|^\d+\.\d+$")
"""Numbers that a table with commas before thousands, and whole numbers alone, does not hold."""
MOST, FEW = 0.8, 0.2
"""Shares of numbers that make a column one of values, and a line none of values."""


@dataclass(frozen=True)
class Format:
    """How a table is written.

    Attributes:
        sep: the separator's byte; 32 takes any run of blanks.
        header: names of all columns, aligned to the columns of the rows.
        kinds: per column VALUE, TEXT or SKIP.
        comma: whether decimals stand behind a comma, as spreadsheets write them in much of Europe.
        thousands: whether commas set off thousands, as spreadsheets show them.
        above: lines between header and values that describe the columns, by their name; aligned to the columns.
    """

    sep: int
    header: list[str]
    kinds: np.ndarray
    comma: bool = False
    above: dict[str, list[str]] = field(default_factory=dict)
    thousands: bool = False


def recognise(head: list[bytes], member: Member) -> Format:
    """Separator, header and the columns that hold text, from the first lines, the header among them.

    Raises:
        BrainmetError: no separator gives rows of equal width with numbers in them.
    """
    sep, rows = _separated(head, member)
    comma, thousands = _commas(rows)
    comma &= sep != 44
    if comma or thousands:
        # Names with a comma stay what they are.
        rows = [[_plain(part, b"." if comma else b"") for part in row] for row in rows]
    first, rows = _without_empty_last(fields(head[0], sep), rows)
    _only_numbers(rows, first, member)
    of_values = _shares(rows[len(rows) // 2 :]) > MOST
    if not of_values.any():
        raise BrainmetError(f"{member}: no column holds numbers; check the file and its layout")
    above = list(takewhile(lambda row: _numbers(row, of_values) < FEW, rows[: len(rows) // 2]))
    kinds = np.where(_shares(rows[len(above) :]) > MOST, VALUE, TEXT).astype(np.uint8)
    header = _aligned([name.decode("utf-8", "replace") for name in first], kinds, member)
    _no_numbers([name for name, kind in zip(header, kinds, strict=True) if kind == VALUE], member)
    if kinds[0] == VALUE and len(kinds) > 2 and (NAMES.match(header[0]) or not (kinds == TEXT).any()):
        kinds[0] = TEXT  # Names of cells or genes that are bare numbers.
    if (kinds == TEXT).any():
        kinds[[k == VALUE and bool(GENE_COLUMNS.match(name)) for k, name in zip(kinds, header, strict=True)]] = SKIP
    texts = [[part.decode("utf-8", "replace") for part in row] for row in above]
    lines = {row[0] or f"line_{i}": row for i, row in enumerate(texts, start=2)}
    return Format(sep, header, kinds, comma, lines, thousands)


def fields(line: bytes, sep: int) -> list[bytes]:
    """The parts of a line, unquoted; separators inside quotes do not cut."""
    line = line.rstrip(b"\r\n")
    if sep == 32:
        return [part.strip(b'"') for part in line.split()]
    mark = bytes([sep])
    parts = line.split(mark)
    if b'"' in line:
        joined: list[bytes] = []
        for part in parts:
            if joined and joined[-1].count(b'"') % 2:
                joined[-1] += mark + part
            else:
                joined.append(part)
        parts = joined
    return [part.strip().strip(b'"').strip() for part in parts]


def _separated(head: list[bytes], member: Member) -> tuple[int, list[list[bytes]]]:
    """The separator and the parts of the lines below the header."""
    # Semicolons cut first where the header has them too: the commas are then decimal ones.
    for sep in (9, *((59, 44) if head[0].count(b";") > head[0].count(b",") else (44, 59)), 32):
        rows = [fields(line, sep) for line in head[1:]]
        widths = {len(_trimmed(row)) for row in rows} if sep == 32 else {len(row) for row in rows}
        if len(widths) == 1 and max(widths) > 1:
            return sep, rows
    raise BrainmetError(
        f"{member}: no separator (tab, comma, semicolon, blank) gives rows of equal length; check the file "
        "and its layout"
    )


def _without_empty_last(header: list[bytes], rows: list[list[bytes]]) -> tuple[list[bytes], list[list[bytes]]]:
    """Header and rows without the empty column that a separator at the end of every line makes; rows of one width."""
    width = len(rows[0])
    named = len(header) == width and header[-1]
    if not named and len(header) in (width, width - 1) and not any(row[-1] for row in rows):
        header, width = _trimmed(header), width - 1
    return header, [row[:width] for row in rows]


def _only_numbers(rows: list[list[bytes]], header: list[bytes], member: Member) -> None:
    """Raises where a mark stands for a number: its column would be taken for text, and its cell be lost."""
    for i, column in enumerate(zip(*rows, strict=True)):
        other = {part for part in column if part and not NUMBER.match(part)}
        if len(other) == 1 and MARK.match(mark := other.pop()) and any(map(NUMBER.match, column)):
            sign, name = (text.decode("utf-8", "replace") for text in (mark, header[min(i, len(header) - 1)]))
            raise BrainmetError(
                f"{member}: {sign} stands among the numbers of column {i + 1} ({name}); write 0 where it "
                "means a zero, else NA"
            )


def _no_numbers(names: list[str], member: Member) -> None:
    """Raises where the names of columns of values are values themselves: the table has no header."""
    numbers = [bool(NUMBER.match(name.encode())) for name in names]
    if len(set(names)) < len(names) and np.mean(numbers) > MOST:
        raise BrainmetError(
            f"{member}: the first line holds numbers where the names of the cells are expected (such as "
            f"{names[0]}); write a line of column names above the table"
        )


def _commas(rows: list[list[bytes]]) -> tuple[bool, bool]:
    """Whether commas in numbers stand before decimals, and whether they set off thousands. `1,234` alone may be either:
    it is a thousand where nothing but thousands has a comma and no number without one is as large."""
    parts = [part for row in rows for part in row]
    written = [part for part in parts if DECIMAL_COMMA.match(part) or THOUSANDS.match(part)]
    comma = any(not THOUSANDS.match(part) for part in written)
    return comma, bool(written) and not comma and not any(LARGE.match(part) for part in parts)


def _plain(part: bytes, mark: bytes) -> bytes:
    """A number with a comma written the way parsers read it; anything else as it is."""
    return part.replace(b",", mark) if DECIMAL_COMMA.match(part) or THOUSANDS.match(part) else part


def _shares(rows: list[list[bytes]]) -> np.ndarray:
    """Share of numbers among what is written in each column; 1 where nothing is."""
    number = np.array([[bool(NUMBER.match(part)) for part in row] for row in rows])
    written = np.array([[part != b"" for part in row] for row in rows])
    return np.where(written.any(axis=0), number.sum(axis=0) / np.maximum(written.sum(axis=0), 1), 1.0)


def _numbers(row: list[bytes], columns: np.ndarray) -> float:
    """Share of numbers and blanks in some columns of a line."""
    return float(np.mean([not row[i] or bool(NUMBER.match(row[i])) for i in np.flatnonzero(columns)]))


def _aligned(header: list[str], kinds: np.ndarray, member: Member) -> list[str]:
    """A name for every column; R writes none above row names."""
    width, texts = kinds.size, int((kinds == TEXT).sum())
    if len(header) == width + 1 and not header[-1]:
        header.pop()
    if len(header) == width - 1:
        header.insert(0, "")
    elif len(header) == width - texts:
        header = [""] * texts + header
    if len(header) != width:
        raise BrainmetError(
            f"{member}: the header names {len(header)} columns and the rows have {width}; fetch the file again"
        )
    return header


def _trimmed(row: list[bytes]) -> list[bytes]:
    return row[:-1] if row and not row[-1] else row
