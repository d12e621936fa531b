"""Ranks of values, their correlations and permutations, and the test of signed ranks.

The numbers are those of `scipy.stats`, without half a second of import in every job.
"""

import numpy as np
import pandas as pd


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 of values without NaN, of a matrix in each column; ties share their mean rank."""
    return pd.DataFrame(values).rank().to_numpy(float).reshape(np.shape(values))


def rank_correlations(columns: np.ndarray) -> np.ndarray:
    """Spearman's correlation of every two columns; NaN with a constant column."""
    centred = ranks(columns)
    centred -= centred.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    scale = np.outer(norm, norm)
    return np.divide(centred.T @ centred, scale, out=np.full(scale.shape, np.nan), where=scale > 0)


def permuted_within(groups: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions 0, 1, 2 … permuted `n` times, each within its group: n × positions."""
    order = np.tile(np.arange(len(groups)), (n, 1))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        order[:, members] = rng.permuted(order[:, members], axis=1)
    return order


MOST_EXACT = 50
"""Values up to which signed ranks are counted out."""


def signed_rank_p(values: np.ndarray) -> float:
    """One-sided p of Wilcoxon's signed-rank test: do the values, not all of them 0, lie above 0? Zeros are left out.

    Exact with ties too, where `scipy.stats.wilcoxon` is so up to 13 values; of more than `MOST_EXACT` it is scipy's.
    """
    values = values[values != 0]
    if len(values) > MOST_EXACT:
        from scipy.stats import wilcoxon

        return float(wilcoxon(values, alternative="greater").pvalue)
    doubled = (2 * ranks(np.abs(values))).astype(int)  # whole numbers, where ties share a rank as well
    chance = np.zeros(doubled.sum() + 1)  # of every sum of the ranks of positive values
    chance[0] = 1
    for rank in doubled:
        chance = (chance + np.concatenate([np.zeros(rank), chance[:-rank]])) / 2
    return float(chance[doubled[values > 0].sum() :].sum())
