"""The informative genes of one sample, log-normalised: all that embedding and annotation of the cohort need of it."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import VALUES, Obs, Uns
from brainmet.core.counts import Counts
from brainmet.core.files import reading, replacing
from brainmet.core.lazy import Lazy
from brainmet.core.normalise import log_normalised

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slice:
    """Log-normalised values of a sample's kept cells.

    Attributes:
        X: cells × genes, CSR float32, log1p of counts per ten thousand. Columns of genes that the sample did
            not measure are empty and mean "unknown", not zero.
        measured: by gene, whether the sample measured it.
        cells: cell ids, in file order.
        genes: Ensembl ids, in the order of `features.tsv`.
        variable: by gene, whether it enters the embedding; the others inform the annotation only; None for all.
    """

    X: sp.csr_matrix
    measured: np.ndarray
    cells: np.ndarray
    genes: np.ndarray
    variable: np.ndarray | None = None


def read_slices(paths: Sequence[str | Path], *, informative: bool = False) -> Lazy[Slice]:
    """The slices of several samples, one read at a time: of their variable genes, or of all informative ones."""
    return Lazy(paths, load if informative else lambda path: variable(load(path)))


def variable(part: Slice) -> Slice:
    """The slice's genes that enter the embedding."""
    if part.variable is None or part.variable.all():
        return part
    at = np.flatnonzero(part.variable)
    return Slice(part.X[:, at], part.measured[at], part.cells, part.genes[at], part.variable[at])


def slice_counts(counts: Counts, *, keep: np.ndarray, genes: np.ndarray, variable: np.ndarray | None = None) -> Slice:
    """Log-normalised values of the given genes in the kept cells.

    Args:
        counts: the sample.
        keep: by cell of the sample, whether it passed QC.
        genes: Ensembl ids.
        variable: by gene, whether it enters the embedding; all do by default.
    """
    position = counts.genes.index.get_indexer(genes)
    measured = position >= 0
    values = counts.uns.get(Uns.VALUES, VALUES[0])
    blocks = [
        log_normalised(block, values=values, columns=position[measured]).astype(np.float32)
        for block in counts.chunks(keep)
    ]
    cells = counts.cells.index.to_numpy()[np.asarray(keep, bool)]
    X = sp.vstack(blocks, format="csr") if blocks else sp.csr_matrix((0, int(measured.sum())), dtype=np.float32)
    log.info(
        "%d cells × %d genes, %.3g nonzeros per cell; %d genes not measured",
        *X.shape,
        X.nnz / max(len(cells), 1),
        (~measured).sum(),
    )
    X.sort_indices()
    spread = _spread(X, np.flatnonzero(measured), len(genes))
    return Slice(spread, measured, cells, np.asarray(genes, dtype=object), variable)


@dataclass(frozen=True)
class Cells:
    """Cells of one donor, from all of its samples.

    Attributes:
        X: cells × genes, log-normalised, CSR.
        depth: counts of each cell.
        measured: genes that all of the donor's samples measured.
    """

    X: sp.csr_matrix
    depth: np.ndarray
    measured: np.ndarray


def gather(
    parts: Iterable[Slice],
    annotation: pd.DataFrame,
    depth: pd.Series,
    types_of: Mapping[str, Collection[str]],
    *,
    keys: Sequence[str],
) -> dict[str, dict[tuple[str, ...], Cells]]:
    """Cells of groups of cell types by donor.

    Args:
        parts: slices over the same genes, one per sample; read one after the other.
        annotation: index cell id; `cell_type` and the keys.
        depth: counts by cell id.
        types_of: cell types by group.
        keys: columns that tell donors apart.

    Returns:
        By group and by the values of the keys, both sorted; donors without a cell of a group are left out.
    """
    groups: dict[str, dict[tuple[str, ...], list[Cells]]] = {name: {} for name in sorted(types_of)}
    for part in parts:
        described = annotation.reindex(part.cells).assign(row=np.arange(len(part.cells)))
        for name, donors in groups.items():
            members = described[described[Obs.CELL_TYPE].isin(list(types_of[name]))]
            for donor, rows in members.groupby(list(keys), sort=True)["row"]:
                at = rows.to_numpy()
                cells = Cells(part.X[at], depth.loc[part.cells[at]].to_numpy(float), part.measured)
                donors.setdefault(tuple(map(str, donor)), []).append(cells)
    return {name: {donor: _joined(cells) for donor, cells in sorted(donors.items())} for name, donors in groups.items()}


def _joined(parts: Sequence[Cells]) -> Cells:
    """The cells of one donor's samples, one below the other."""
    return Cells(
        sp.vstack([part.X for part in parts], format="csr"),
        np.concatenate([part.depth for part in parts]),
        np.all([part.measured for part in parts], axis=0),
    )


def save(path: str | Path, part: Slice) -> None:
    """Write a slice as an uncompressed `.npz`."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            data=part.X.data,
            indices=part.X.indices.astype(np.uint16 if part.X.shape[1] <= 2**16 else np.int32),
            indptr=part.X.indptr.astype(np.int64),
            measured=part.measured,
            variable=np.ones(len(part.genes), bool) if part.variable is None else part.variable,
            cells=np.array([cell.encode() for cell in part.cells], dtype=bytes),
            genes=np.array([gene.encode() for gene in part.genes], dtype=bytes),
        )


def load(path: str | Path) -> Slice:
    """Read a slice.

    Raises:
        BrainmetError: the file is not a whole slice.
    """
    with reading(path, "a slice"), np.load(path) as file:
        cells, genes = (np.array([text.decode() for text in file[name]], dtype=object) for name in ("cells", "genes"))
        arrays = file["data"], file["indices"].astype(np.int32), file["indptr"]
        X = sp.csr_matrix(arrays, shape=(len(cells), len(genes)))
        return Slice(X, file["measured"], cells, genes, file["variable"])


def _spread(X: sp.csr_matrix, columns: np.ndarray, n: int) -> sp.csr_matrix:
    """The same values with column i moved to `columns[i]` of `n`, which ascend."""
    return sp.csr_matrix((X.data, columns.astype(np.int32)[X.indices], X.indptr), shape=(X.shape[0], n))
