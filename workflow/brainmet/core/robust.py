"""Spread that outliers do not move."""

import numpy as np

MAD_TO_SD = 1.4826
"""A normal distribution's standard deviation in units of its median absolute deviation."""


def mad_sd(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Standard deviation by the median absolute deviation, in the unit of the values; along an axis, or of them all."""
    middle = np.median(values, axis=axis, keepdims=True)
    return MAD_TO_SD * np.median(np.abs(values - middle), axis=axis)
