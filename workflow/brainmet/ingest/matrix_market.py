"""Matrix Market files, read as a stream with a small compiled parser."""

from typing import IO

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member

BLOCK = 1 << 24
"""16 MB of text a block."""


def read_matrix(member: Member) -> sp.csc_matrix:
    """A coordinate matrix, integer or real, as features × cells (CSC); symmetric and complex ones do not occur.

    Raises:
        BrainmetError: not Matrix Market, fewer or more entries than announced, or an entry outside the matrix.
    """
    from brainmet.ingest.kernels import entries as parse

    with member.open() as stream:
        rows, columns, entries = _header(stream, member)
        row, column, value = np.empty(entries, np.int32), np.empty(entries, np.int32), np.empty(entries, np.float64)
        done, rest = 0, b""
        while True:
            block = stream.read(BLOCK)
            text = rest + block
            cut = text.rfind(b"\n") + 1 if block else len(text)
            rest = text[cut:]
            done = parse(np.frombuffer(text, np.uint8, cut), row, column, value, done)
            if done < 0:
                raise BrainmetError(
                    f"{member}: line {-done} of the entries is not `row column value`; fetch the file again"
                )
            if not block:
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
    whole = entries == 0 or (np.isfinite(value).all() and np.array_equal(value, np.rint(value)))
    kind = np.int32 if whole and (entries == 0 or np.abs(value).max() < 2**31) else np.float32
    return sp.coo_matrix((value.astype(kind), (row, column)), shape=(rows, columns)).tocsc()


def _header(stream: IO[bytes], member: Member) -> tuple[int, int, int]:
    first = stream.readline().strip().lower()
    if not first.startswith(b"%%matrixmarket matrix coordinate"):
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
