"""Cells among all droplets of a run, in the way of EmptyDrops (Lun et al. 2019, doi:10.1186/s13059-019-1662-y).

Droplets of few counts hold ambient RNA alone and tell its profile. A droplet is a cell when it has many counts, or when
its own counts are less likely under that profile than chance allows: small cells among large ones, such as T cells
among tumour cells, stay. Likelihoods under the ambient profile are simulated at 16 totals and interpolated as normal
between them, so that no droplet needs simulations of its own; EmptyDrops simulates each total.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from brainmet.ingest.raw import Raw

CAUTION = "the matrix holds every droplet and no table lists its cells: they were told by their counts"
EXPECTED, HIGH, SHARE = 3_000, 0.99, 0.1
"""Cellranger 2's rule: a tenth of the 99th percentile of the 3,000 largest totals is a cell's beyond doubt."""
FEWEST = 10_000
"""Ambient counts below which their profile is not known."""
SIZES, DRAWS, SEED = 16, 200, 0
"""Totals at which likelihoods are drawn, and draws at each."""
FDR = 0.01
LARGEST = 1_000
"""Counts of a gene whose factorials are kept."""


def only_cells(raw: Raw, ambient: np.ndarray) -> Raw:
    """The droplets that hold a cell, with a note and a caution.

    Args:
        raw: the droplets that may hold one.
        ambient: counts of each feature in the droplets that hold none.
    """
    mask = are_cells(raw.matrix, ambient)
    note = f"{(~mask).sum()} of the other {len(mask)} are like ambient RNA and left out"
    return replace(raw.cells(mask), caution=CAUTION).noted(note)


def are_cells(X: sp.csr_matrix, ambient: np.ndarray) -> np.ndarray:
    """Mask of the droplets that hold a cell; all where too little is known of ambient RNA.

    Args:
        X: droplets × features, counts, of the droplets that may hold a cell.
        ambient: counts of each feature in the droplets that hold none.
    """
    totals = np.asarray(X.sum(axis=1)).ravel()
    if ambient.sum() < FEWEST or not totals.size:
        return np.ones(len(totals), bool)
    is_cell = totals >= SHARE * np.quantile(np.sort(totals)[-EXPECTED:], HIGH)
    rest = np.flatnonzero(~is_cell)
    if rest.size:
        from scipy.stats import false_discovery_control

        is_cell[rest] = false_discovery_control(_p_values(X[rest], totals[rest], np.log(_profile(ambient)))) <= FDR
    return is_cell


def _profile(ambient: np.ndarray) -> np.ndarray:
    """Shares of the features; those that were never seen divide what Good and Turing expect of them."""
    unseen, once = ambient == 0, float((ambient == 1).sum())
    if not unseen.any():
        return ambient / ambient.sum()
    left = max(once, 1.0) / ambient.sum()
    return np.where(unseen, left / unseen.sum(), ambient / ambient.sum() * (1 - left))


def _p_values(X: sp.csr_matrix, totals: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Chance that ambient RNA gives a droplet counts as unlikely as its own."""
    from scipy.special import ndtr

    rng, shares = np.random.default_rng(SEED), np.exp(logs)
    sizes = np.unique(np.geomspace(totals.min(), totals.max(), SIZES).astype(np.int64))
    drawn = [_likelihood(sp.csr_matrix(rng.multinomial(n, shares / shares.sum(), DRAWS)), logs) for n in sizes]
    at = np.log(totals)
    mean, spread = (np.interp(at, np.log(sizes), [f(values) for values in drawn]) for f in (np.mean, np.std))
    return np.asarray(ndtr((_likelihood(X, logs) - mean) / np.maximum(spread, 1e-9)))


def _likelihood(X: sp.csr_matrix, logs: np.ndarray) -> np.ndarray:
    """Log likelihood of each droplet's counts at the logarithms of the features' shares."""
    from scipy.special import gammaln

    values = X.data.astype(np.int64)
    factorials = gammaln(np.arange(LARGEST + 1) + 1.0)[np.minimum(values, LARGEST)]
    large = values > LARGEST
    factorials[large] = gammaln(values[large] + 1.0)
    terms = sp.csr_matrix((X.data * logs[X.indices] - factorials, X.indices, X.indptr), X.shape)
    return np.asarray(terms.sum(axis=1)).ravel() + gammaln(np.asarray(X.sum(axis=1)).ravel() + 1.0)
