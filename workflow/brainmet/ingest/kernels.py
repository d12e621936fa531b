"""Compiled parsers of text: imported only where they run, because compiling costs seconds the first time.

Their parts are inlined: an array that is passed on costs two counts of references, as much as a short number itself.
"""

from typing import Any

import numpy as np
from numba import njit

from brainmet.ingest.table_format import TEXT, VALUE

POWERS = np.power(10.0, np.arange(0, 309, dtype=np.float64))

TAB, LF, CR, BLANK, QUOTE, PLUS, MINUS, POINT, ZERO, NINE = b'\t\n\r "+-.09'
A, E, N, U, Z, LOWER = *b"aenuz", 32
"""Letters, and the bit that makes one small."""
BLANK_DIGIT, LF_DIGIT = BLANK - ZERO, LF - ZERO
"""What a blank and a line feed are when they are read as digits: one comparison tells a digit from all else."""


@njit(cache=True, nogil=True)
def parse_number(text: np.ndarray, start: Any, stop: int) -> tuple[float, Any, bool]:
    """A decimal number at `start`: value, position behind it, and whether there was one (NA and NaN are, as NaN)."""
    i = start
    negative = False
    if i < stop and (text[i] == MINUS or text[i] == PLUS):
        negative = text[i] == MINUS
        i += 1
    first = i
    i, mantissa, whole = _digits(text, i, stop, 0)
    seen = i - first
    scale = seen - whole
    if i < stop and text[i] == POINT:
        first = i + 1
        i, mantissa, taken = _digits(text, first, stop, mantissa)
        seen += i - first
        scale -= taken
    if seen == 0:
        return _missing(text, i, stop)
    exponent, i = _exponent(text, i, stop)
    scale += exponent
    result = float(mantissa)
    if scale > 0:
        result = result * POWERS[min(scale, 308)]
    elif scale < 0:
        result = result / POWERS[min(-scale, 308)]
    return (-result if negative else result), i, True


@njit(cache=True, nogil=True, inline="always")
def _digits(text: np.ndarray, start: Any, stop: int, mantissa: int) -> tuple[Any, int, int]:
    """Digits from `start` on, behind those in `mantissa`: position behind all, mantissa, number of those it holds.

    Eighteen significant digits fit; those beyond are passed over.
    """
    i, taken = start, 0
    while i < stop and text[i] >= ZERO and text[i] <= NINE:
        if mantissa < 10**17:
            mantissa = mantissa * 10 + (int(text[i]) - ZERO)
            taken += 1
        i += 1
    return i, mantissa, taken


@njit(cache=True, nogil=True, inline="always")
def _exponent(text: np.ndarray, start: Any, stop: int) -> tuple[int, Any]:
    """Exponent at `start`, 0 where there is none, and the position behind it."""
    i, exponent = start, 0
    if i >= stop or (text[i] | LOWER) != E:
        return exponent, i
    i += 1
    negative = False
    if i < stop and (text[i] == MINUS or text[i] == PLUS):
        negative = text[i] == MINUS
        i += 1
    while i < stop and text[i] >= ZERO and text[i] <= NINE:
        exponent = min(exponent * 10 + (int(text[i]) - ZERO), 400)
        i += 1
    return (-exponent if negative else exponent), i


@njit(cache=True, nogil=True, inline="always")
def _missing(text: np.ndarray, start: Any, stop: int) -> tuple[float, Any, bool]:
    """NA, NaN, null: as `parse_number` says them; anything else is no number."""
    i = start
    if not (i + 1 < stop and (text[i] | LOWER) == N and ((text[i + 1] | LOWER) == A or (text[i + 1] | LOWER) == U)):
        return 0.0, i, False
    while i < stop and (text[i] | LOWER) >= A and (text[i] | LOWER) <= Z:
        i += 1
    return np.nan, i, True


@njit(cache=True, nogil=True)
def parse_sorted_coordinates(
    text: np.ndarray, row: np.ndarray, value: np.ndarray, lengths: np.ndarray, rows: int, done: int, column: Any
) -> tuple[Any, Any, Any]:
    """Parse a block of Matrix Market entries as cellranger writes them: whole numbers, sorted by column, then row, such
    as `33 1 4`, a four in row 33 of column 1.

    Args:
        text: whole lines, the last one ended.
        row, value: filled from `done` on; rows count from 0.
        lengths: entries of each column, counted on.
        rows: number of rows.
        done: entries read so far.
        column: column of the last of them, from 0.

    Returns:
        Entries and column after the block, and the position in `text` of the first line that is anything else.
    """
    size, columns = row.size, lengths.size
    previous = np.int64(row[done - 1]) if done else np.int64(-1)
    # Unsigned positions spare a test for negative ones at every byte; the line end behind every line spares that of
    # the length.
    i, n, one = np.uint64(0), np.uint64(text.size), np.uint64(1)
    while i < n:
        start = i
        a = np.int64(0)
        digit = np.int64(text[i]) - ZERO
        while 0 <= digit <= 9:
            a = a * 10 + digit
            i += one
            digit = np.int64(text[i]) - ZERO
        if i == start or digit != BLANK_DIGIT:
            return done, column, np.int64(start)
        i += one
        b, first = np.int64(0), i
        digit = np.int64(text[i]) - ZERO
        while 0 <= digit <= 9:
            b = b * 10 + digit
            i += one
            digit = np.int64(text[i]) - ZERO
        if i == first or digit != BLANK_DIGIT:
            return done, column, np.int64(start)
        i += one
        c, first = np.int64(0), i
        digit = np.int64(text[i]) - ZERO
        while 0 <= digit <= 9:
            c = c * 10 + digit
            i += one
            digit = np.int64(text[i]) - ZERO
        if i == first or digit != LF_DIGIT or i - first > 9 or i - start > 36:
            return done, column, np.int64(start)
        a -= 1
        b -= 1
        if b != column:
            if b < column:
                return done, column, np.int64(start)
            previous = np.int64(-1)
        if a <= previous or a >= rows or b >= columns or done >= size:
            return done, column, np.int64(start)
        row[done] = a
        value[done] = c
        lengths[b] += 1
        previous, column = a, b
        done += 1
        i += one
    return done, column, np.int64(n)


@njit(cache=True, nogil=True)
def parse_coordinates(text: np.ndarray, row: np.ndarray, column: np.ndarray, value: np.ndarray, done: int) -> int:
    """Parse a block of Matrix Market entries in any order and of any numbers, such as `33 1 4.5e-1`.

    Args:
        text: whole lines.
        row, column, value: filled from `done` on; rows and columns count from 0.
        done: entries read so far.

    Returns:
        The entries after the block, or minus the 1-based entry that cannot be read.
    """
    i, n = 0, text.size
    while i < n:
        while i < n and text[i] <= BLANK:
            i += 1
        if i >= n:
            break
        if done >= row.size:
            return done + 1
        a, i, good_a = parse_number(text, i, n)
        while i < n and (text[i] == BLANK or text[i] == TAB):
            i += 1
        b, i, good_b = parse_number(text, i, n)
        while i < n and (text[i] == BLANK or text[i] == TAB):
            i += 1
        c, i, good_c = parse_number(text, i, n)
        if not (good_a and good_b and good_c) or (i < n and text[i] > BLANK):
            return -(done + 1)
        row[done] = np.int32(a) - 1
        column[done] = np.int32(b) - 1
        value[done] = c
        done += 1
    return done


@njit(cache=True, nogil=True)
def parse_dense_lines(
    text: np.ndarray,
    sep: int,
    kinds: np.ndarray,
    slot: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
    ends: np.ndarray,
    names: np.ndarray,
) -> tuple[Any, Any, Any, Any]:
    """Parse a block of lines of a dense table, such as `CD3E,0,2,1`; zeros are not kept.

    Args:
        text: whole lines, the last one ended.
        sep: the separator's byte; 32 takes any run of blanks.
        kinds: per column VALUE, TEXT or SKIP.
        slot: per column its number among the values, or among the texts.
        column, value: filled with the nonzero values.
        ends: per line, filled with the number of values up to its end; a line feed or a carriage return ends one.
        names: per line and text column, filled with start and stop in `text`.

    Returns:
        lines read, values kept, and where it stopped: the line and column (both 1-based) that cannot be read, or zeros.
        A line with too few columns stops at the first missing one, one with too many at `kinds.size + 1`.
    """
    i: Any = np.int64(0)
    n, line, kept, width = text.size, 0, 0, kinds.size
    one, mark = np.uint64(1), sep - ZERO
    while i < n:
        if _ends(text[i]):
            i += 1
            continue
        j = np.int64(_behind_separators(text, i, n, sep))  # numba asks for the type of what goes round the loop
        if j > i and (j >= n or _ends(text[j])):
            i = j  # spreadsheets end tables with lines of nothing but separators
            continue
        c = 0
        while c < width:
            if sep != BLANK and kinds[c] == VALUE:
                # Bare whole numbers up to the last column, nearly all of a table; the rest is left to the slow way
                # below. Unsigned positions spare a test for negative ones at every byte.
                u = np.uint64(i)
                while c < width - 1 and kinds[c] == VALUE:
                    first, whole = u, np.int64(0)
                    digit = np.int64(text[u]) - ZERO
                    while 0 <= digit <= 9:
                        whole = whole * 10 + digit
                        u += one
                        digit = np.int64(text[u]) - ZERO
                    if u == first or digit != mark or u - first > 15:
                        u = first
                        break
                    if whole != 0:
                        column[kept] = slot[c]
                        value[kept] = whole
                        kept += 1
                    u += one
                    c += 1
                i = np.int64(u)
            if sep == BLANK:
                i = _behind_separators(text, i, n, sep)
            # A blank last column ends with its separator; a line that is cut does not.
            blank = c == width - 1 and kinds[c] == VALUE and sep != BLANK and i > 0 and text[i - 1] == sep
            if i < n and _ends(text[i]) and c > 0 and not blank:
                return line, kept, line + 1, c + 1
            quoted = i < n and text[i] == QUOTE
            if quoted:
                i += 1
            if kinds[c] == VALUE:
                found, i, good = _value(text, i, n, sep, quoted)
                if not good:
                    return line, kept, line + 1, c + 1
                if found != 0.0:
                    column[kept] = slot[c]
                    value[kept] = found
                    kept += 1
            else:
                stop = _behind_label(text, i, n, sep, quoted)
                if kinds[c] == TEXT:
                    names[line, slot[c], 0] = i
                    names[line, slot[c], 1] = stop
                i = stop + 1 if quoted and stop < n and text[stop] == QUOTE else stop
            if c < width - 1 and i < n and _separates(text[i], sep):
                i += 1
            c += 1
        i = _behind_last(text, i, n, sep)
        if i < n and not _ends(text[i]):
            return line, kept, line + 1, width + 1
        ends[line] = kept
        line += 1
    return line, kept, 0, 0


@njit(cache=True, nogil=True, inline="always")
def _value(text: np.ndarray, start: Any, n: int, sep: int, quoted: bool) -> tuple[float, Any, bool]:
    """Any other number: value, NaN where nothing is written, the position behind it, and whether it can be read."""
    i = _behind_blanks(text, start, n)
    if sep != BLANK and i < n and (text[i] == sep or _ends(text[i]) or (quoted and text[i] == QUOTE)):
        found, good = np.nan, True
    else:
        found, i, good = parse_number(text, i, n)
    if sep != BLANK:
        i = _behind_blanks(text, i, n)
    if quoted and i < n and text[i] == QUOTE:
        i += 1
    return found, i, good and (i >= n or _separates(text[i], sep) or _ends(text[i]))


@njit(cache=True, nogil=True, inline="always")
def _behind_label(text: np.ndarray, i: Any, n: int, sep: int, quoted: bool) -> Any:
    """Where a label that begins at `i` stops."""
    if quoted:
        while i < n and text[i] != QUOTE and text[i] != LF:
            i += 1
    else:
        while i < n and not _separates(text[i], sep) and not _ends(text[i]):
            i += 1
    return i


@njit(cache=True, nogil=True, inline="always")
def _behind_blanks(text: np.ndarray, i: Any, n: int) -> Any:
    while i < n and text[i] == BLANK:
        i += 1
    return i


@njit(cache=True, nogil=True, inline="always")
def _behind_separators(text: np.ndarray, i: Any, n: int, sep: int) -> Any:
    while i < n and (text[i] == sep or text[i] == BLANK or text[i] == TAB):
        i += 1
    return i


@njit(cache=True, nogil=True, inline="always")
def _behind_last(text: np.ndarray, i: Any, n: int, sep: int) -> Any:
    """Behind what may follow the last column: blanks, and a separator before the end of the line."""
    while i < n and (text[i] == BLANK or text[i] == TAB or (text[i] == sep and (i + 1 >= n or _ends(text[i + 1])))):
        i += 1
    return i


@njit(cache=True, nogil=True, inline="always")
def _separates(byte: Any, sep: int) -> bool:
    return byte == sep or (sep == BLANK and byte == TAB)


@njit(cache=True, nogil=True, inline="always")
def _ends(byte: Any) -> bool:
    return byte in (LF, CR)


@njit(cache=True, nogil=True)
def scatter(
    column: np.ndarray,
    value: np.ndarray,
    lengths: np.ndarray,
    line: int,
    cursor: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
) -> None:
    """Put the values of a block of lines in their places in the matrix of columns × lines.

    Args:
        column, value: as read, line after line.
        lengths: values of each line.
        line: number of the first line.
        cursor: per column the next free place; moved on.
        indices, data: filled.
    """
    at = 0
    for i in range(lengths.size):
        for _ in range(lengths[i]):
            place = cursor[column[at]]
            indices[place] = line + i
            data[place] = value[at]
            cursor[column[at]] = place + 1
            at += 1
