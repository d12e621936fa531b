"""Counts of one sample: written once as h5ad, read in blocks of cells.

Reading goes through h5py alone: a job that streams a sample does not pay for importing anndata, and its memory is
that of one block. The file is a plain h5ad that `anndata.read_h5ad` opens, not compressed: a dozen jobs read it, ten
times faster than they would unpack it, and its size says how many values it holds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import CELL_ID, VERSION, Obs, Uns, Var
from brainmet.core.files import reading, replacing
from brainmet.core.normalise import linear
from brainmet.errors import BrainmetError

BLOCK = 1_000
"""Cells per block: about 15 MB at 2,000 genes per cell."""


@dataclass(frozen=True)
class Counts:
    """One sample's counts on disk, with its cells and genes in memory.

    Attributes:
        path: the h5ad file.
        cells: index cell id, in file order; all `obs` columns, strings as plain objects.
        genes: index Ensembl id; `symbol, chromosome, start, end`.
        uns: what the matrix says of itself (`contract.Uns`).
    """

    path: Path
    cells: pd.DataFrame
    genes: pd.DataFrame
    uns: dict[str, Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells and of genes."""
        return len(self.cells), len(self.genes)

    @property
    def nnz(self) -> int:
        """Number of stored values."""
        with h5py.File(self.path) as file:
            return int(file["X/indptr"][-1])

    def kept(self, cells: pd.DataFrame) -> np.ndarray:
        """Mask of the cells that a table of this sample's cells keeps.

        Args:
            cells: index cell id, the same cells in the same order; `keep`.

        Raises:
            BrainmetError: the table is of other cells, or has them in another order.
        """
        if not cells.index.equals(self.cells.index):
            raise BrainmetError(
                f"{self.path}: its {len(self.cells)} cells are not the {len(cells)} of the table beside it, in its "
                "order; delete the sample's folder and run again"
            )
        return cells[Obs.KEEP].to_numpy(bool)

    def chunks(self, keep: np.ndarray | None = None, rows: int = BLOCK) -> Iterator[sp.csr_matrix]:
        """Blocks of at most `rows` cells in file order, float32; only cells where `keep` is true, all by default."""
        with self._stored() as (data, indices, indptr):
            for start in range(0, len(self.cells), rows):
                stop = min(start + rows, len(self.cells))
                wanted = None if keep is None else np.asarray(keep[start:stop], bool)
                if wanted is not None and not wanted.any():
                    continue
                first, last = int(indptr[start]), int(indptr[stop])
                block = sp.csr_matrix(
                    (
                        data[first:last].astype(np.float32, copy=False),
                        indices[first:last],
                        indptr[start : stop + 1] - first,
                    ),
                    shape=(stop - start, len(self.genes)),
                )
                yield block if wanted is None or wanted.all() else block[wanted]

    def linear_chunks(self, keep: np.ndarray | None = None, rows: int = BLOCK) -> Iterator[sp.csr_matrix]:
        """Blocks as `chunks` gives them, with logs undone: values that may be added up over genes and cells."""
        values = str(self.uns.get(Uns.VALUES))
        for block in self.chunks(keep, rows):
            yield linear(block, values=values).astype(np.float32, copy=False)

    def matrix(self) -> sp.csr_matrix:
        """All blocks at once: for samples known to be small."""
        blocks = list(self.chunks())
        return sp.vstack(blocks, format="csr") if blocks else sp.csr_matrix((0, self.shape[1]), dtype=np.float32)

    @contextmanager
    def _stored(self) -> Iterator[tuple]:
        """Data, indices and indptr of the matrix."""
        with h5py.File(self.path) as file:
            yield file["X/data"], file["X/indices"], file["X/indptr"][:]


def open_counts(path: str | Path) -> Counts:
    """Open `counts.h5ad` of a sample.

    Raises:
        BrainmetError: the file is not what `write_counts` writes.
    """
    path = Path(path)
    with reading(path, "counts"), h5py.File(path) as file:
        cells, genes = read_frame(file["obs"]), read_frame(file["var"])
        uns = {key: _scalar(value[()]) for key, value in file["uns"].items() if isinstance(value, h5py.Dataset)}
    if Obs.SAMPLE not in cells or Var.SYMBOL not in genes:
        raise BrainmetError(f"{path}: lacks obs {Obs.SAMPLE} or var {Var.SYMBOL}; delete it and run again")
    return Counts(path, cells, genes, uns)


def by_gene(block: sp.csr_matrix, values: np.ndarray) -> np.ndarray:
    """Sum over a block's cells, for each gene, of values that stand where its counts do; float64."""
    return np.asarray(sp.csr_matrix((values, block.indices, block.indptr), block.shape).T @ np.ones(block.shape[0]))


def by_cell(block: sp.csr_matrix, values: np.ndarray) -> np.ndarray:
    """Sum over the genes, for each of a block's cells, of values that stand where its counts do."""
    return np.asarray(sp.csr_matrix((values, block.indices, block.indptr), block.shape).sum(axis=1)).ravel()


def sort_columns(X: sp.csr_matrix) -> None:
    """Put every row's columns in ascending order, in place: turned twice they are, in a third of scipy's time."""
    if X.has_sorted_indices:
        return
    rows = 200  # So few that they stay in the processor's cache.
    for start in range(0, X.shape[0], rows):
        block = slice(X.indptr[start], X.indptr[min(start + rows, X.shape[0])])
        part = X[start : start + rows].tocsc().tocsr()
        X.indices[block], X.data[block] = part.indices, part.data
    X.has_sorted_indices = True


def write_counts(
    path: str | Path, X: sp.csr_matrix, cells: pd.DataFrame, genes: pd.DataFrame, uns: dict[str, Any]
) -> None:
    """Write counts as h5ad: CSR in the smallest type that holds the values, int64 indptr.

    Args:
        path: written whole or not at all.
        X: cells × genes; integers are stored as uint16 or uint32, anything else as float32.
        cells: index cell id, unique; string columns without nulls.
        genes: index Ensembl id, unique; `symbol, chromosome, start, end`.
        uns: strings, numbers and booleans by name.
    """
    if not cells.index.is_unique or not genes.index.is_unique:
        raise ValueError(f"{path}: cell ids and gene ids must be unique")
    X = sp.csr_matrix(X)
    X.eliminate_zeros()
    sort_columns(X)
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        _write_matrix(file.create_group("X"), X)
        write_frame(file.create_group("obs"), cells, CELL_ID)
        write_frame(file.create_group("var"), genes, Var.ENSEMBL)
        _write_uns(file.create_group("uns"), uns | {Uns.CONTRACT_VERSION: VERSION})
        for slot in ("obsm", "varm", "obsp", "varp", "layers"):
            file.create_group(slot).attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})


def _stored_type(values: np.ndarray) -> type:
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    # Not so for NaN either.
    if not (low >= 0 and high <= np.iinfo(np.uint32).max):
        return np.float32
    # A cast and a comparison take a fifth of the time of rounding, and half of that in the processor's cache.
    parts = (values[start : start + 2**17] for start in range(0, len(values), 2**17))
    if values.dtype.kind == "f" and not all(np.array_equal(part, part.astype(np.uint32)) for part in parts):
        return np.float32
    return np.uint16 if high <= np.iinfo(np.uint16).max else np.uint32


def _write_matrix(group: h5py.Group, X: sp.csr_matrix) -> None:
    group.attrs.update(
        {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(X.shape, np.int64)}
    )
    group["data"] = X.data.astype(_stored_type(X.data), copy=False)
    group["indices"] = X.indices.astype(np.int32, copy=False)
    group["indptr"] = X.indptr.astype(np.int64, copy=False)


def write_frame(group: h5py.Group, frame: pd.DataFrame, index: str, *, compression: str | None = None) -> None:
    """Write a table as anndata does its `obs` and `var`, with `index` as the name of the row names."""
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": index})
    group.attrs["column-order"] = np.array(list(frame.columns), dtype=h5py.string_dtype())
    _write_column(group, index, frame.index.to_numpy(), compression)
    for name in frame.columns:
        _write_column(group, name, frame[name].to_numpy(), compression)


def _write_column(group: h5py.Group, name: str, values: np.ndarray, compression: str | None) -> None:
    text = values.dtype.kind in "OUT"
    data = np.asarray(values, dtype=object) if text else values
    dtype = h5py.string_dtype() if text else None
    dataset = group.create_dataset(name, data=data, dtype=dtype, compression=compression)
    dataset.attrs.update({"encoding-type": "string-array" if text else "array", "encoding-version": "0.2.0"})


def _write_uns(group: h5py.Group, uns: dict[str, Any]) -> None:
    group.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    for key in sorted(uns):
        kind = "string" if isinstance(uns[key], str) else "numeric-scalar"
        group.create_dataset(key, data=uns[key]).attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})


def read_frame(group: h5py.Group) -> pd.DataFrame:
    """A table that `write_frame` wrote: names and texts as plain objects."""
    index = group.attrs["_index"]
    names = [str(name) for name in group.attrs["column-order"]]
    columns = {name: _read_column(group[name]) for name in names}
    return pd.DataFrame(columns, index=pd.Index(_read_column(group[index]), name=index, dtype=object))


def _read_column(dataset: h5py.Dataset) -> np.ndarray:
    return np.asarray(dataset.asstr()[:], dtype=object) if h5py.check_string_dtype(dataset.dtype) else dataset[:]


def _scalar(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value
