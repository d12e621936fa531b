"""Compiled parsers of text: imported only where they run, because compiling costs seconds the first time."""

from typing import Any

import numpy as np
from numba import njit

POWERS = np.power(10.0, np.arange(0, 309, dtype=np.float64))
VALUE, TEXT, SKIP = 0, 1, 2
"""What a column of a dense table is to the parser."""


@njit(cache=True, nogil=True)
def number(text: np.ndarray, start: Any, stop: int) -> tuple[float, int, bool]:
    """A decimal number at `start`: value, position behind it, and whether there was one (NA and NaN are, as NaN)."""
    i = start
    negative = False
    if i < stop and (text[i] == 45 or text[i] == 43):
        negative = text[i] == 45
        i += 1
    mantissa, digits, scale, seen = 0, 0, 0, 0
    while i < stop and text[i] >= 48 and text[i] <= 57:
        if digits < 18:
            mantissa = mantissa * 10 + (int(text[i]) - 48)
            digits += mantissa > 0
        else:
            scale += 1
        seen += 1
        i += 1
    if i < stop and text[i] == 46:
        i += 1
        while i < stop and text[i] >= 48 and text[i] <= 57:
            if digits < 18:
                mantissa = mantissa * 10 + (int(text[i]) - 48)
                digits += mantissa > 0
                scale -= 1
            seen += 1
            i += 1
    if seen == 0:
        if i + 1 < stop and (text[i] | 32) == 110 and ((text[i + 1] | 32) == 97 or (text[i + 1] | 32) == 117):
            while i < stop and (text[i] | 32) >= 97 and (text[i] | 32) <= 122:
                i += 1
            return np.nan, i, True
        return 0.0, i, False
    if i < stop and (text[i] | 32) == 101:
        i += 1
        minus = False
        if i < stop and (text[i] == 45 or text[i] == 43):
            minus = text[i] == 45
            i += 1
        exponent = 0
        while i < stop and text[i] >= 48 and text[i] <= 57:
            exponent = min(exponent * 10 + (int(text[i]) - 48), 400)
            i += 1
        scale += -exponent if minus else exponent
    result = float(mantissa)
    if scale > 0:
        result = result * POWERS[min(scale, 308)]
    elif scale < 0:
        result = result / POWERS[min(-scale, 308)]
    return (-result if negative else result), i, True


@njit(cache=True, nogil=True)
def tidy(
    text: np.ndarray, row: np.ndarray, value: np.ndarray, lengths: np.ndarray, rows: int, done: int, column: Any
) -> tuple[Any, Any, Any]:
    """Matrix Market entries of one block as cellranger writes them: whole numbers, sorted by column, then row.

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
        digit = np.int64(text[i]) - 48
        while 0 <= digit <= 9:
            a = a * 10 + digit
            i += one
            digit = np.int64(text[i]) - 48
        if i == start or digit != -16:
            return done, column, np.int64(start)
        i += one
        b, first = np.int64(0), i
        digit = np.int64(text[i]) - 48
        while 0 <= digit <= 9:
            b = b * 10 + digit
            i += one
            digit = np.int64(text[i]) - 48
        if i == first or digit != -16:
            return done, column, np.int64(start)
        i += one
        c, first = np.int64(0), i
        digit = np.int64(text[i]) - 48
        while 0 <= digit <= 9:
            c = c * 10 + digit
            i += one
            digit = np.int64(text[i]) - 48
        if i == first or digit != -38 or i - first > 9 or i - start > 36:
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
def entries(text: np.ndarray, row: np.ndarray, column: np.ndarray, value: np.ndarray, done: int) -> int:
    """Matrix Market entries of one block: filled from `done` on; the new count, or minus the 1-based entry
    that is not readable.
    """
    i, n = 0, text.size
    while i < n:
        while i < n and text[i] <= 32:
            i += 1
        if i >= n:
            break
        if done >= row.size:
            return done + 1
        a, i, good_a = number(text, i, n)
        while i < n and (text[i] == 32 or text[i] == 9):
            i += 1
        b, i, good_b = number(text, i, n)
        while i < n and (text[i] == 32 or text[i] == 9):
            i += 1
        c, i, good_c = number(text, i, n)
        if not (good_a and good_b and good_c) or (i < n and text[i] > 32):
            return -(done + 1)
        row[done] = np.int32(a) - 1
        column[done] = np.int32(b) - 1
        value[done] = c
        done += 1
    return done


@njit(cache=True, nogil=True)
def dense(
    text: np.ndarray,
    sep: int,
    kinds: np.ndarray,
    slot: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
    ends: np.ndarray,
    names: np.ndarray,
) -> tuple[Any, Any, Any, Any]:
    """Lines of a dense table in one block.

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
    n, line, kept = text.size, 0, 0
    width, one, mark = kinds.size, np.uint64(1), sep - 48
    while i < n:
        if text[i] == 10 or text[i] == 13:
            i += 1
            continue
        if text[i] == sep or text[i] == 32 or text[i] == 9:
            # Spreadsheets end tables with lines of nothing but separators.
            j = i
            while j < n and (text[j] == sep or text[j] == 32 or text[j] == 9):
                j += 1
            if j >= n or text[j] == 10 or text[j] == 13:
                i = j
                continue
        c = 0
        while c < width:
            if sep != 32 and kinds[c] == VALUE:
                # Bare whole numbers up to the last column: nearly all of a table. What is anything else, and the last
                # column, is left to the slow way below.
                u, last = np.uint64(i), width - 1
                while c < last and kinds[c] == VALUE:
                    first, whole = u, np.int64(0)
                    digit = np.int64(text[u]) - 48
                    while 0 <= digit <= 9:
                        whole = whole * 10 + digit
                        u += one
                        digit = np.int64(text[u]) - 48
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
            if sep == 32:
                while i < n and (text[i] == 32 or text[i] == 9):
                    i += 1
            # A blank last column ends with its separator; a line that is cut does not.
            blank = c == width - 1 and kinds[c] == VALUE and sep != 32 and i > 0 and text[i - 1] == sep
            if i < n and (text[i] == 10 or text[i] == 13) and c > 0 and not blank:
                return line, kept, line + 1, c + 1
            start = i
            quoted = i < n and text[i] == 34
            if quoted:
                i += 1
                start = i
            if kinds[c] == VALUE:
                while i < n and text[i] == 32:
                    i += 1
                if (
                    sep != 32
                    and i < n
                    and (text[i] == sep or text[i] == 10 or text[i] == 13 or (quoted and text[i] == 34))
                ):
                    found, good = np.nan, True  # Nothing is written.
                else:
                    found, i, good = number(text, i, n)
                while i < n and text[i] == 32 and sep != 32:
                    i += 1
                if quoted and i < n and text[i] == 34:
                    i += 1
                if not good or (
                    i < n and text[i] != sep and text[i] != 10 and text[i] != 13 and not (sep == 32 and text[i] == 9)
                ):
                    return line, kept, line + 1, c + 1
                if found != 0.0:
                    column[kept] = slot[c]
                    value[kept] = found
                    kept += 1
            else:
                if quoted:
                    while i < n and text[i] != 34 and text[i] != 10:
                        i += 1
                else:
                    while (
                        i < n
                        and text[i] != sep
                        and text[i] != 10
                        and text[i] != 13
                        and not (sep == 32 and text[i] == 9)
                    ):
                        i += 1
                if kinds[c] == TEXT:
                    names[line, slot[c], 0] = start
                    names[line, slot[c], 1] = i
                if quoted and i < n and text[i] == 34:
                    i += 1
            if c < width - 1 and i < n and (text[i] == sep or (sep == 32 and text[i] == 9)):
                i += 1
            c += 1
        # Separators or blanks behind the last column are harmless.
        while i < n and (
            text[i] == 32 or text[i] == 9 or (text[i] == sep and (i + 1 >= n or text[i + 1] == 10 or text[i + 1] == 13))
        ):
            i += 1
        if i < n and text[i] != 10 and text[i] != 13:
            return line, kept, line + 1, width + 1
        ends[line] = kept
        line += 1
    return line, kept, 0, 0


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
    """Values of a block of lines to their places in the matrix of columns × lines.

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
