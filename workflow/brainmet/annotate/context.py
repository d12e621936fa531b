"""The nearest cells of every cell inside its own sample: context for all other evidence.

Neighbours of the cohort's embedding come from other platforms and tissues, and integration that helps a map mixes types
that only one of them holds. Here components are computed in the sample alone. Few cells are averaged where a sample is
small, so that classes of some ten cells are not swamped, and few components are taken: those of fifty cells are mostly
noise, and neighbours by noise are any cells.
"""

import logging
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import CELL_ID
from brainmet.core.gram import axes, eigenvectors, gram
from brainmet.core.neighbors import nearest
from brainmet.slice import Slice

SCOPE = "cohort"
REQUIRES = ("slices",)
IN_WORDS = "the calls of neighbouring cells"
log = logging.getLogger(__name__)

NEAR = "near_"
MIN_NEIGHBORS, MIN_COMPONENTS = 3, 5
EXACT_BELOW = 20_000
"""Cells of one sample up to which its neighbours are exact; few samples hold more."""
LEFT_OUT = re.compile(r"^(IG[HKL][VDJCGAMEL]|JCHAIN$|TR[ABGD][VDJC]|MT-|RP[LS]\d|HB[ABDGMQZ]\d?$|MALAT1$|NEAT1$|XIST$)")
"""Genes that float in every sample or follow sex and quality."""


def annotate(
    slices: Iterable[Slice],
    *,
    n_components: int,
    n_neighbors: int,
    cells_per_component: int,
    cells_per_neighbor: int,
) -> pd.DataFrame:
    """Positions of each cell's nearest cells among the kept cells of its sample, nearest first.

    Args:
        slices: one per sample.
        n_components: components of a sample's own space, at most.
        cells_per_component: cells of the sample for each of them.
        n_neighbors: neighbours per cell, at most.
        cells_per_neighbor: cells of the sample from which on one neighbour more is taken.

    Returns:
        Index cell id; `near_1` ..: rows in the joint table; -1 where there is none.
    """
    cells, rows, start = [], [], 0
    for part in slices:
        n = len(part.cells)
        k = int(min(n_neighbors, max(MIN_NEIGHBORS, n // cells_per_neighbor), max(n - 1, 0)))
        near = np.full((n, n_neighbors), -1, np.int64)
        if k > 0:
            few = min(n_components, max(MIN_COMPONENTS, n // cells_per_component))
            points = components(part.X[:, np.flatnonzero(part.measured)], n_components=few)
            near[:, :k] = nearest(points, k=k, exact_below=EXACT_BELOW, threads=1)[0] + start
        log.info("%d cells, %d neighbours per cell", n, k)
        cells.append(part.cells)
        rows.append(near)
        start += n
    index = pd.Index(np.concatenate(cells), name=CELL_ID, dtype=object)
    return pd.DataFrame(np.concatenate(rows), index=index, columns=[f"{NEAR}{i + 1}" for i in range(n_neighbors)])


def components(X: sp.csr_matrix, *, n_components: int) -> np.ndarray:
    """Principal components of the cells; the smaller of both cross products is decomposed."""
    mean = np.asarray(X.mean(axis=0)).ravel().astype(np.float64)
    n, m = X.shape
    top = max(1, min(n_components, n - 1, m))
    if m <= n:
        vectors = axes(gram(X), mean, n, top)
        return np.asarray(X @ vectors - (mean @ vectors).astype(np.float32))
    centred = X.toarray().astype(np.float64) - mean
    vectors, values = eigenvectors(centred @ centred.T, top)
    return np.asarray(vectors * np.sqrt(values))


def positions(table: pd.DataFrame) -> np.ndarray:
    """Neighbours of all cells by their row in the table; -1 where there is none."""
    return table.filter(regex=f"^{NEAR}").fillna(-1).to_numpy(np.int64)


def blended(scores: np.ndarray, neighbors: np.ndarray, *, share: float) -> np.ndarray:
    """Scores of each cell mixed with the mean of its nearest cells; -1 stands for no cell."""
    if not neighbors.size or share == 0:
        return scores
    known = neighbors >= 0
    number = known.sum(axis=1)
    near = neighbors[known], np.concatenate([[0], np.cumsum(number)])
    near = sp.csr_matrix((np.ones(len(near[0]), scores.dtype), *near), shape=(len(scores), len(scores)))
    number = number[:, None].astype(scores.dtype)
    return np.where(number > 0, (1 - share) * scores + share * (near @ scores) / np.maximum(number, 1), scores)
