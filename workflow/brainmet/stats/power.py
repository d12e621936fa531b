"""The smallest effects that the tests of `effects` find with a given power."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import nctdtr

from brainmet.stats import student
from brainmet.stats.effects import Array, Estimate, shares


def detectable(se: Array, df: Array | int, *, power: float, alpha: float) -> Array:
    """Smallest effect that a two-sided t test finds with the given power, one per feature.

    Args:
        se: standard error of the effect where there is none.
        df: degrees of freedom of the test; NaN below one.
    """
    delta = [noncentrality(int(d), power=power, alpha=alpha) for d in np.broadcast_to(df, se.shape)]
    return np.array(delta, float) * se


def detectable_in(estimates: Sequence[Estimate], *, power: float, alpha: float) -> Array:
    """Smallest g found with the given power by the common effect of the studies at hand (`fixed_studies`).

    Pairs find smaller effects the more a donor's two values go together, so it is reckoned from the standard error that
    g has in each study where there is no effect: 1/n_a + 1/n_b of two groups, 1/n times the variance of the differences
    over that of the groups for pairs.
    """
    used = _with_g(estimates)
    df = (used * np.array([e.g_df for e in estimates])[:, None]).sum(axis=0)
    null = np.nan_to_num([e.g_se_null for e in estimates])
    se = np.sqrt((shares(estimates) ** 2 * null**2).sum(axis=0))
    return detectable(se, df, power=power, alpha=alpha)


def detectable_over(estimates: Sequence[Estimate], tau2: Array, *, power: float, alpha: float) -> Array:
    """Smallest g found with the given power by the Hartung–Knapp test over studies (`random_effects`); NaN where no
    effect reaches it, as over three studies of three donors per group.

    The test has k − 1 degrees of freedom: all it knows is how far the k studies' g lie apart. They do by tau², by the
    noise of their means, and, the larger the effect x, by that of the standard deviations that g is measured in:
    x² = noncentrality² / Σ 1/(tau² + g_se_null² + g_growth x²).
    """
    used = _with_g(estimates)
    delta2 = np.array([noncentrality(int(k) - 1, power=power, alpha=alpha) for k in used.sum(axis=0)]) ** 2
    apart = np.where(used, np.array([e.g_se_null for e in estimates]) ** 2 + tau2, np.inf)
    growth = np.where(used, np.array([e.g_growth for e in estimates]), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The right side is concave in x²: it starts above it, and falls below it if its slope far out is less than 1.
        slope = delta2 / (1 / growth).sum(axis=0)
        most = np.where(used, apart / growth, 0.0).max(axis=0)
        low, high = np.zeros(len(tau2)), np.where(slope < 1, most * slope / (1 - slope), np.nan)
        for _ in range(100):
            middle = (low + high) / 2
            above = delta2 / (1 / (apart + growth * middle)).sum(axis=0) > middle
            low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.sqrt(high)


@cache
def noncentrality(df: int, *, power: float, alpha: float) -> float:
    """Noncentrality at which a two-sided t test reaches the power; NaN without degrees of freedom."""
    if df < 1:
        return float("nan")
    threshold = student.isf(alpha / 2, df)

    def short(delta: float) -> bool:
        # Far out the lower tail is not a number, and nothing to speak of; scipy.stats is half a second of import.
        return bool(1 - nctdtr(df, delta, threshold) + np.nan_to_num(nctdtr(df, delta, -threshold)) < power)

    low, high = 0.0, 1.0
    while short(high):
        low, high = high, 1.5 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if short(middle) else (low, middle)
    return high


def _with_g(estimates: Sequence[Estimate]) -> Array:
    """Studies × features that have a g."""
    return np.array([np.isfinite(e.g) & np.isfinite(e.g_se_null) for e in estimates])
