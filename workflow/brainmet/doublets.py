"""Doublets of one sample by scDblFinder (Germain et al. 2022, doi:10.12688/f1000research.73600.2) in its Python port.

The port is called with one thread and with its PCA replaced by an exact one, so that a sample gets the same scores on
any machine; cells and genes are first put in the order of their ids, so that the order of the file does not matter.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from brainmet.contract import Uns
from brainmet.counts import BLOCK, Counts

log = logging.getLogger(__name__)

METHOD = "scDblFinder"


@dataclass(frozen=True)
class Doublets:
    """Doublets of one sample.

    Attributes:
        score: probability of being a doublet, one value a barcode, NaN where not looked at.
        called: called a doublet.
        expected_rate: share expected from the loading; NaN when not run.
        skipped: why doublets were not looked for; empty when they were.
    """

    score: np.ndarray
    called: np.ndarray
    expected_rate: float
    skipped: str


def find(
    counts: Counts,
    passing: np.ndarray,
    *,
    profile: str,
    known_rate: float | None,
    rate_per_thousand: float,
    min_cells: int,
    max_cells: int,
    n_genes: int,
    n_components: int,
    n_rounds: int,
    n_runs: int,
    seed: int,
) -> Doublets:
    """Score the cells that pass the other limits, and call doublets.

    Args:
        counts: the sample.
        passing: barcodes to look at.
        profile: `cells`, `nuclei` or `plates`.
        known_rate: expected share of doublets where the series says it; None: from the number of cells.
        rate_per_thousand: expected share of doublets per thousand cells loaded together.
        min_cells: smaller samples are skipped: too few pairs to learn from.
        max_cells: larger samples are split at random into equal parts of at most this size, for memory.
        n_genes: genes of highest variance to use.
        n_components: principal components to use.
        n_rounds: rounds of boosting; the library's search by cross-validation costs much and measures no better.
        n_runs: scores are averaged over this many sets of artificial doublets.
        seed: of the artificial doublets.
    """
    n = int(passing.sum())
    rate = rate_per_thousand * n / 1000 if known_rate is None else known_rate
    skipped = _skipped(counts, profile=profile, n=n, min_cells=min_cells)
    score = np.full(len(passing), np.nan, np.float32)
    called = np.zeros(len(passing), bool)
    if skipped:
        log.info("doublets: not looked for: %s", skipped)
        return Doublets(score, called, float("nan"), skipped)
    rows = np.flatnonzero(passing)
    rows = rows[np.argsort(counts.cells.index.to_numpy(str)[rows], kind="stable")]
    matrix, positions = _variable_genes(counts, passing, n_genes=n_genes)
    parts = np.random.default_rng(seed).permutation(np.arange(n) % -(-n // max_cells))
    for part in range(parts.max() + 1):
        members = rows[parts == part]
        block = matrix[positions[members]]
        runs = [
            _run(block, rate=rate, n_components=n_components, n_rounds=n_rounds, seed=seed + run)
            for run in range(n_runs)
        ]
        score[members] = np.mean([run[0] for run in runs], axis=0)
        called[members] = np.mean([run[1] for run in runs], axis=0) > 0.5
    log.info("doublets: %d of %d cells called, %.3f expected", called.sum(), n, rate)
    return Doublets(score, called, rate, "")


def _skipped(counts: Counts, *, profile: str, n: int, min_cells: int) -> str:
    if profile == "plates":
        return "one cell a well"
    if counts.uns[Uns.VALUES] != "counts":
        return f"values are {counts.uns[Uns.VALUES]}"
    if n < min_cells:
        return f"{n} cells, fewer than {min_cells}"
    return ""


def _variable_genes(counts: Counts, passing: np.ndarray, *, n_genes: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Counts of the genes of highest variance, in the order of their ids, and each barcode's row in them."""
    total, squares = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    for block in counts.chunks(passing):
        total += np.bincount(block.indices, block.data, counts.shape[1])
        squares += np.bincount(block.indices, block.data.astype(np.float64) ** 2, counts.shape[1])
    n = passing.sum()
    ids = counts.genes.index.to_numpy(str)
    variance = squares / n - (total / n) ** 2
    chosen = np.lexsort((ids, -variance))[:n_genes]
    chosen = chosen[np.argsort(ids[chosen], kind="stable")]
    matrix = sp.vstack([block[:, chosen] for block in counts.chunks(passing)], format="csr")
    return matrix, np.cumsum(passing) - 1


def _run(
    block: sp.csr_matrix, *, rate: float, n_components: int, n_rounds: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score and call of each cell against artificial doublets drawn with `seed`."""
    from pyscdblfinder import sc_dbl_finder

    with _single_thread():
        result = sc_dbl_finder(
            block.T.tocsc(),
            dbr=rate,
            n_features=block.shape[1],
            dims=n_components,
            processing=_components,
            nrounds=n_rounds,
            knn_backend="sklearn",
            random_state=seed,
            progress=False,
        )
    cells = result.real_cells()
    return cells["score"].to_numpy(float), cells["class"].to_numpy() == "doublet"


def _components(counts: sp.spmatrix, dims: int) -> np.ndarray:
    """Principal components of log-normalised genes × cells counts, exact, by the covariance of the genes."""
    values = sp.csr_matrix(counts.T, dtype=np.float64)
    totals = np.asarray(values.sum(axis=1)).ravel()
    scale = 1e4 / np.where(totals > 0, totals, 1)
    values.data = np.log1p(values.data * np.repeat(scale, np.diff(values.indptr)))
    mean = np.asarray(values.mean(axis=0)).ravel()
    covariance = -np.outer(mean, mean)
    for first in range(0, values.shape[0], BLOCK):
        dense = values[first : first + BLOCK].toarray()
        covariance += dense.T @ dense / values.shape[0]
    dims = min(dims, *values.shape)
    start = np.ones(len(mean))
    if dims < len(mean) - 1:
        from scipy.sparse.linalg import eigsh

        eigenvalues, axes = eigsh(covariance, k=dims, v0=start)
    else:
        eigenvalues, axes = np.linalg.eigh(covariance)
    axes = axes[:, np.argsort(-eigenvalues, kind="stable")[:dims]]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dims)])
    return values @ axes - mean @ axes


@contextmanager
def _single_thread() -> Iterator[None]:
    """The port trains on all cores and offers no way to say otherwise; more threads change the trees."""
    from pyscdblfinder import classifier

    original = classifier._resolve_nthreads
    classifier._resolve_nthreads = lambda nthreads: 1
    try:
        yield
    finally:
        classifier._resolve_nthreads = original
