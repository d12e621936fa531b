"""The variable genes of one sample, log-normalised: all that the cohort's embedding needs of it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import scipy.sparse as sp

from brainmet.contract import VALUES, Uns
from brainmet.counts import Counts
from brainmet.errors import BrainmetError
from brainmet.files import replacing
from brainmet.normalise import log_normalised

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slice:
    """Log-normalised values of a sample's kept cells.

    Attributes:
        X: cells × variable genes, CSR float32, log1p of counts per ten thousand. Columns of genes that the sample did
            not measure are empty and mean "unknown", not zero.
        measured: by gene, whether the sample measured it.
        cells: cell ids, in file order.
        genes: Ensembl ids, in the order of `features.tsv`.
    """

    X: sp.csr_matrix
    measured: np.ndarray
    cells: np.ndarray
    genes: np.ndarray


class Slices:
    """The slices of several samples, read one at a time at every iteration."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.paths = list(paths)

    def __iter__(self) -> Iterator[Slice]:
        return (load(path) for path in self.paths)


def slice_counts(counts: Counts, *, keep: np.ndarray, genes: np.ndarray) -> Slice:
    """Log-normalised values of the given genes in the kept cells.

    Args:
        counts: the sample.
        keep: by cell of the sample, whether it passed QC.
        genes: Ensembl ids of the cohort's variable genes.
    """
    position = counts.genes.index.get_indexer(genes)
    measured = position >= 0
    values = counts.uns.get(Uns.VALUES, VALUES[0])
    blocks = [
        log_normalised(block, values=values)[:, position[measured]].astype(np.float32) for block in counts.chunks(keep)
    ]
    cells = counts.cells.index.to_numpy()[np.asarray(keep, bool)]
    X = sp.vstack(blocks, format="csr") if blocks else sp.csr_matrix((0, int(measured.sum())), dtype=np.float32)
    log.info(
        "%d cells × %d genes, %.3g nonzeros a cell; %d genes not measured",
        *X.shape,
        X.nnz / max(len(cells), 1),
        (~measured).sum(),
    )
    X.sort_indices()
    return Slice(_spread(X, np.flatnonzero(measured), len(genes)), measured, cells, np.asarray(genes, dtype=object))


def save(path: str | Path, part: Slice) -> None:
    """Write a slice as an uncompressed `.npz`."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            data=part.X.data,
            indices=part.X.indices.astype(np.uint16 if part.X.shape[1] <= 2**16 else np.int32),
            indptr=part.X.indptr.astype(np.int64),
            measured=part.measured,
            cells=np.array([cell.encode() for cell in part.cells], dtype=bytes),
            genes=np.array([gene.encode() for gene in part.genes], dtype=bytes),
        )


def load(path: str | Path) -> Slice:
    """Read a slice.

    Raises:
        BrainmetError: the file is not a whole slice.
    """
    try:
        with np.load(path) as file:
            cells, genes = (
                np.array([text.decode() for text in file[name]], dtype=object) for name in ("cells", "genes")
            )
            arrays = file["data"], file["indices"].astype(np.int32), file["indptr"]
            return Slice(sp.csr_matrix(arrays, shape=(len(cells), len(genes))), file["measured"], cells, genes)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BrainmetError(f"{path}: not a readable slice ({error}); delete it and run again") from error


def _spread(X: sp.csr_matrix, columns: np.ndarray, n: int) -> sp.csr_matrix:
    """The same values with column i moved to `columns[i]` of `n`, which ascend."""
    return sp.csr_matrix((X.data, columns.astype(np.int32)[X.indices], X.indptr), shape=(X.shape[0], n))
