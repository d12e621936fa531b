"""A sparse matrix written to an h5 file block by block, compressed by threads."""

import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import h5py
import numpy as np
import scipy.sparse as sp
from isal import isal_zlib

CHUNK = 2**18
"""Values per compressed block."""
FAST_LEVELS = isal_zlib.ISAL_BEST_COMPRESSION
"""Levels up to this are ISA-L's, six times as fast as zlib at level 4; the file is 8 % larger."""


class GrowingMatrix:
    """A CSR matrix that grows at its end, in an h5 group; blocks are compressed by threads and written in order.

    One that `shares` holds values only: its indices are those of another matrix, linked into its group. Bytes of counts
    and of indices are put together by their place (`shuffle`): those of high places are mostly zero. Logs are few
    different numbers in each cell and pack to half the size, in two thirds of the time, as they are.
    """

    def __init__(
        self,
        group: h5py.Group,
        n_columns: int,
        level: int,
        pool: ThreadPoolExecutor,
        *,
        shares: bool = False,
        shuffle: bool = True,
    ) -> None:
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        self.group, self.n_columns, self.level, self.pool, self.shares = group, n_columns, level, pool, shares
        self.ends: list[np.ndarray] = [np.zeros(1, np.int64)]
        self.pending: dict[str, list[np.ndarray]] = {"data": []} if shares else {"data": [], "indices": []}
        self.shuffled = {"data": shuffle, "indices": True}
        for name, dtype in (("data", np.float32), ("indices", np.int32)):
            if name in self.pending:
                packed = {"chunks": (CHUNK,), "compression": level, "shuffle": self.shuffled[name]}
                group.create_dataset(name, (0,), dtype, maxshape=(None,), **packed)

    def append(self, block: sp.csr_matrix) -> None:
        self.ends.append(block.indptr[1:].astype(np.int64) + self.ends[-1][-1])
        self._write("data", block.data.astype(np.float32, copy=False))
        if not self.shares:
            self._write("indices", block.indices.astype(np.int32, copy=False))

    def close(self) -> None:
        for name, values in self.pending.items():
            self._flush(name, np.concatenate(values) if values else np.zeros(0, self.group[name].dtype), last=True)
        indptr = np.concatenate(self.ends)
        if not self.shares:
            self.group.create_dataset("indptr", data=indptr, compression=self.level, shuffle=True)
        self.group.attrs["shape"] = np.array([len(indptr) - 1, self.n_columns], np.int64)

    def _write(self, name: str, values: np.ndarray) -> None:
        waiting = self.pending[name]
        waiting.append(values)
        if sum(map(len, waiting)) >= 8 * CHUNK:
            self.pending[name] = [self._flush(name, np.concatenate(waiting), last=False)]

    def _flush(self, name: str, values: np.ndarray, *, last: bool) -> np.ndarray:
        """Write whole blocks of the values, and at the end what is left; returns what is not written."""
        dataset = self.group[name]
        done, whole = dataset.shape[0], len(values) // CHUNK * CHUNK
        parts = [values[i : i + CHUNK] for i in range(0, len(values) if last else whole, CHUNK)]
        dataset.resize((done + sum(map(len, parts)),))
        for number, packed in enumerate(self.pool.map(self._pack, parts, repeat(self.shuffled[name]))):
            dataset.id.write_direct_chunk((done + number * CHUNK,), packed)
        return values[whole:]

    def _pack(self, values: np.ndarray, shuffle: bool) -> bytes:
        """A block as HDF5's filters would leave it, gzip or shuffle and gzip; the last one is filled up with zeros."""
        full = values
        if len(values) < CHUNK:
            full = np.zeros(CHUNK, values.dtype)
            full[: len(values)] = values
        if shuffle:
            full = np.ascontiguousarray(full.view(np.uint8).reshape(CHUNK, -1).T)
        return (isal_zlib if self.level <= FAST_LEVELS else zlib).compress(full, self.level)
