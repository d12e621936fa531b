"""Nonzero values of a table while it is read, and the sparse matrix that they become.

Turning lines of genes into rows of cells needs all lines first. Held plainly beside the result they would double its
memory, so what goes beyond `PLAIN` bytes is held compressed, at about a quarter of its size.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from isal import isal_zlib

PLAIN = 1 << 27
"""128 MB: what is held as it is; packing costs time that smaller tables need not spend."""


class Entries:
    """Values with their columns, in the order of the lines; can be taken out once."""

    def __init__(self, n_columns: int) -> None:
        self.n_columns, self.held = n_columns, 0
        self.kind: np.dtype = np.dtype(np.int32)
        self.lengths: list[np.ndarray] = []
        self.parts: deque[tuple[np.ndarray, np.ndarray] | tuple[bytes, bytes, np.dtype]] = deque()
        self.per_column = np.zeros(n_columns, np.int64)

    def add(self, column: np.ndarray, value: np.ndarray, lengths: np.ndarray) -> None:
        """Values of a block of lines; copied.

        Args:
            column: int32, ascending within a line.
            value: int32 or float32.
            lengths: how many values each line has.
        """
        self.lengths.append(lengths)
        self.per_column += np.bincount(column, minlength=self.n_columns)
        if value.dtype != np.int32:
            self.kind = np.dtype(np.float32)
        self.held += column.nbytes + value.nbytes
        if self.held <= PLAIN:
            self.parts.append((column.copy(), value.copy()))
        else:
            steps = np.diff(column, prepend=np.int32(0))
            self.parts.append((_packed(steps), _packed(value), value.dtype))

    def as_written(self) -> sp.csr_matrix:
        """Lines × columns."""
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(self.lengths or [np.zeros(0, np.int64)]))])
        indices, data = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], self.kind)
        at = 0
        for column, value in self._drain():
            indices[at : at + column.size], data[at : at + column.size] = column, value
            at += column.size
        return sp.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, self.n_columns))

    def turned(self) -> sp.csr_matrix:
        """Columns × lines."""
        from brainmet.ingest.kernels import scatter

        indptr = np.concatenate([[0], np.cumsum(self.per_column)])
        indices, data, cursor = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], self.kind), indptr[:-1].copy()
        line = 0
        for (column, value), lengths in zip(self._drain(), self.lengths, strict=True):
            scatter(column, value, lengths, line, cursor, indices, data)
            line += len(lengths)
        return sp.csr_matrix((data, indices, indptr), shape=(self.n_columns, line))

    def _drain(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The blocks in order, each freed as it is taken."""
        while self.parts:
            part = self.parts.popleft()
            if len(part) == 2:
                yield part
            else:
                steps, value, kind = part
                yield np.cumsum(_unpacked(steps, np.dtype(np.int32)), dtype=np.int32), _unpacked(value, kind)


def narrowed(values: np.ndarray) -> np.ndarray:
    """Numbers as int32 where every one is whole and fits, else as float32."""
    whole = np.isfinite(values).all() and np.array_equal(values, np.rint(values))
    fits = whole and (not values.size or np.abs(values).max() < 2**31)
    return values.astype(np.int32 if fits else np.float32)


def _packed(values: np.ndarray) -> bytes:
    """Compressed byte by byte: the high bytes of small numbers are zeros."""
    return isal_zlib.compress(np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize).T.tobytes(), 1)


def _unpacked(packed: bytes, kind: np.dtype) -> np.ndarray:
    plain = np.frombuffer(isal_zlib.decompress(packed), np.uint8).reshape(kind.itemsize, -1)
    return np.ascontiguousarray(plain.T).view(kind).ravel()
