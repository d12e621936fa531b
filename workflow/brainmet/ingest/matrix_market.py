"""Matrix Market files, read as a stream with a small compiled parser."""

from collections.abc import Iterable
from itertools import chain
from typing import IO

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.entries import narrowed
from brainmet.ingest.members import Member
from brainmet.ingest.streams import CHUNK, whole_lines


def read_matrix(member: Member) -> sp.csc_matrix:
    """A coordinate matrix, integer or real, as features × cells (CSC); symmetric and complex ones do not occur.

    Raises:
        BrainmetError: not Matrix Market, fewer or more entries than announced, or an entry outside the matrix.
    """
    from brainmet.ingest.kernels import parse_sorted_coordinates

    with member.open() as stream:
        first = stream.readline()
        if first.strip().lower().startswith(b"%%matrixmarket matrix array"):
            return _array(stream, member)
        rows, columns, entries = _header(first, stream, member)
        row, value = np.empty(entries, np.int32), np.empty(entries, np.int32)
        lengths = np.zeros(columns, np.int64)
        done = column = 0
        blocks = whole_lines(stream, CHUNK)
        for block in blocks:
            text = np.frombuffer(block, np.uint8)
            done, column, at = parse_sorted_coordinates(text, row, value, lengths, rows, done, column)
            if at < len(text):
                # Written by another tool: what is read so far stays.
                return _any(chain([block[at:]], blocks), (row, value, lengths, done), (rows, columns), member)
    if done != entries:
        raise BrainmetError(f"{member}: announces {entries} entries and holds {done}; fetch the file again")
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csc_matrix((value, row, indptr), shape=(rows, columns))


def _any(
    blocks: Iterable[bytes],
    begun: tuple[np.ndarray, np.ndarray, np.ndarray, int],
    shape: tuple[int, int],
    member: Member,
) -> sp.csc_matrix:
    """Entries in any order, with decimals and any blanks, behind those that are read."""
    from brainmet.ingest.kernels import parse_coordinates

    row, whole_value, lengths, done = begun
    entries, (rows, columns) = row.size, shape
    column, value = np.empty(entries, np.int32), np.empty(entries, np.float64)
    column[:done], value[:done] = np.repeat(np.arange(columns, dtype=np.int32), lengths), whole_value[:done]
    del whole_value
    for block in blocks:
        done = parse_coordinates(np.frombuffer(block, np.uint8), row, column, value, done)
        if done < 0:
            raise BrainmetError(
                f"{member}: line {-done} of the entries is not `row column value`; fetch the file again"
            )
        if done > entries:
            break
    if done != entries:
        raise BrainmetError(
            f"{member}: announces {entries} entries and holds {'more' if done > entries else done}; fetch the "
            f"file again"
        )
    if entries and (row.min() < 0 or column.min() < 0 or row.max() >= rows or column.max() >= columns):
        raise BrainmetError(
            f"{member}: an entry lies outside the announced {rows} × {columns} matrix; fetch the file again"
        )
    return sp.coo_matrix((narrowed(value), (row, column)), shape=shape).tocsc()


def _array(stream: IO[bytes], member: Member) -> sp.csc_matrix:
    """A dense matrix, one value per line, column by column."""
    lines = (line for line in stream if line.strip() and not line.startswith(b"%"))
    try:
        rows, columns = (int(part) for part in next(lines).split())
        return sp.csc_matrix(np.array([float(line) for line in lines]).reshape(rows, columns, order="F"))
    except (ValueError, StopIteration) as error:
        raise BrainmetError(
            f"{member}: is not the array of numbers that it announces ({error}); fetch the file again"
        ) from error


def _header(first: bytes, stream: IO[bytes], member: Member) -> tuple[int, int, int]:
    if not first.strip().lower().startswith(b"%%matrixmarket matrix coordinate"):
        raise BrainmetError(
            f"{member}: does not begin with %%MatrixMarket matrix coordinate; check the layout of the dataset file"
        )
    line = stream.readline()
    while line.startswith(b"%") or (line and not line.strip()):
        line = stream.readline()
    try:
        rows, columns, entries = (int(part) for part in line.split())
    except ValueError as error:
        raise BrainmetError(
            f"{member}: the size line {line[:40]!r} is not three whole numbers; fetch the file again"
        ) from error
    return rows, columns, entries
