"""Ranks of values, and the test of signed ranks: the numbers of `scipy.stats` without half a second of import in every
job."""

import numpy as np
import pandas as pd


def ranks(values: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Ranks from 1 along an axis of an array of one or two dimensions without NaN; ties share their mean rank."""
    return pd.DataFrame(values).rank(axis=axis).to_numpy(float).reshape(np.shape(values))


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
