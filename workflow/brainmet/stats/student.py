"""Student's t by `scipy.special`: the numbers of `scipy.stats.t` without half a second of import in every job."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit


def sf(x: ArrayLike, df: ArrayLike) -> np.ndarray:
    """Probability of a value above `x`; NaN where `df` is not above 0."""
    return _defined(stdtr(df, -np.asarray(x, float)), df)


def isf(p: ArrayLike, df: ArrayLike) -> np.ndarray:
    """Value that is exceeded with probability `p`, 0 < p < 1; NaN where `df` is not above 0."""
    return _defined(-stdtrit(df, p), df)


def _defined(values: np.ndarray, df: ArrayLike) -> np.ndarray:
    return np.where(np.asarray(df) > 0, values, np.nan)[()]
