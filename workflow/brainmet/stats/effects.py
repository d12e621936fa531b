"""Effect sizes and their inference, for many features at once: rows are donors, columns features.

Everything here is a function of numbers alone. Two groups are compared by Welch's t (no equal variances assumed) and by
Hedges' g; studies are pooled with donors as replicates; labels are permuted within studies.

Sources: Hedges 1981 J Educ Stat 6:107 (g and its correction); Hedges & Olkin 1985 (variance of g); Paule & Mandel 1982
J Res NBS 87:377 (tau²); Hartung & Knapp 2001 Stat Med 20:3875 (interval); Higgins 2009 J R Stat Soc A 172:137
(prediction interval); Steiger & Fouladi 1997 (What if there were no significance tests?, 9; interval by the noncentral
t); Phipson & Smyth 2010 SAGMB 9:39 (p of sampled permutations).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np
from scipy.special import gammaln, nctdtrinc

from brainmet.stats import student

Array = np.ndarray
TAIL = 0.025
"""Probability beyond each end of an interval."""
NO_SPREAD = 1e-12
"""Spread of donors below which they do not vary."""
FAR_OUT = 100.0
"""Size of t beyond which the bounds of its noncentrality are proportional to it (within 0.002 of it)."""


@dataclass(frozen=True)
class Estimate:
    """Effects of one study, one value per feature. `difference` is in units of the values, `g` in pooled standard
    deviations.

    Attributes:
        difference, se, df: mean of group a minus that of group b, its standard error and degrees of freedom (Welch, or
            paired).
        p: two-sided.
        g, g_se, g_df: Hedges' g, its standard error, and the degrees of freedom of its t interval.
        g_se_null: standard error that g has where there is no effect; what power is computed with.
        g_growth: by how much the variance of g grows with g²: the standard deviation that it is measured in is known
            from few donors.
        n_a, n_b: donors of each group.
        n: donors in all; one that was seen in both groups is one.
    """

    difference: Array
    se: Array
    df: Array
    p: Array
    g: Array
    g_se: Array
    g_se_null: Array
    g_growth: Array
    g_df: int
    n_a: int
    n_b: int
    n: int

    def interval(self) -> tuple[Array, Array]:
        """95 % confidence interval of g."""
        return _interval(self.g, self.g_se, self.g_df, _ratio(self.difference, self.se), self.df)

    def difference_interval(self) -> tuple[Array, Array]:
        """95 % confidence interval of the difference."""
        half = student.isf(TAIL, self.df) * self.se
        return self.difference - half, self.difference + half


@dataclass(frozen=True)
class Pooled:
    """A pooled effect, one value per feature; NaN where no study has one."""

    effect: Array
    se: Array
    ci_low: Array
    ci_high: Array
    p: Array
    tau2: Array
    prediction_low: Array
    prediction_high: Array
    k: Array


def small_sample(df: float) -> float:
    """Hedges' exact correction factor J(df); about 1 − 3/(4 df − 1)."""
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)) if df > 1 else np.nan


def two_groups(a: Array, b: Array) -> Estimate:
    """Compare independent donors: `a` and `b` are donors × features, at least two donors each."""
    n_a, n_b = len(a), len(b)
    var_a, var_b = a.var(axis=0, ddof=1), b.var(axis=0, ddof=1)
    difference = a.mean(axis=0) - b.mean(axis=0)
    share_a, share_b = var_a / n_a, var_b / n_b
    pooled = np.sqrt(((n_a - 1) * var_a + (n_b - 1) * var_b) / (n_a + n_b - 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (share_a + share_b) ** 2 / (share_a**2 / (n_a - 1) + share_b**2 / (n_b - 1))
        g = small_sample(n_a + n_b - 2) * _ratio(difference, pooled)
        se = np.sqrt(share_a + share_b)
        p = 2 * student.sf(np.abs(_ratio(difference, se)), df)
    null = np.full(len(g), (n_a + n_b) / (n_a * n_b))
    g_se = np.sqrt(null + g**2 / (2 * (n_a + n_b)))
    growth = np.full(len(g), 1 / (2 * (n_a + n_b - 2)))
    return Estimate(
        difference=difference,
        se=se,
        df=df,
        p=p,
        g=g,
        g_se=g_se,
        g_se_null=np.sqrt(null),
        g_growth=growth,
        g_df=n_a + n_b - 2,
        n_a=n_a,
        n_b=n_b,
        n=n_a + n_b,
    )


def pairs(a: Array, b: Array) -> Estimate:
    """Compare donors seen in both groups: row i of `a` and of `b` is the same donor. g is in standard deviations of
    the groups; NaN where all donors change alike, as there is no test then."""
    n = len(a)
    change = a - b
    difference, spread = change.mean(axis=0), change.std(axis=0, ddof=1)
    scale = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
    se, correction = spread / np.sqrt(n), small_sample(n - 1)
    g = np.where(spread > NO_SPREAD, correction * _ratio(difference, scale), np.nan)
    null = _ratio(spread, scale) ** 2 / n
    growth = (1 + (1 - null * n / 2) ** 2) / (4 * (n - 1))  # two standard deviations that correlate as the groups do
    return _of_changes(n, difference, se=se, g=g, null=null, growth=growth)


def one_sample(change: Array) -> Estimate:
    """Compare values that each donor has of itself (donors × features) with zero. g is in standard deviations of the
    donors."""
    n = len(change)
    difference, spread = change.mean(axis=0), change.std(axis=0, ddof=1)
    se, scaled = spread / np.sqrt(n), _ratio(difference, spread)
    g = small_sample(n - 1) * scaled
    null, growth = np.full(len(g), 1 / n), np.full(len(g), 1 / (2 * (n - 1)))
    return _of_changes(n, difference, se=se, g=g, null=null, growth=growth)


def _of_changes(n: int, difference: Array, *, se: Array, g: Array, null: Array, growth: Array) -> Estimate:
    """The estimate of `n` changes, each within one donor; `null` is the variance of g where there is no effect."""
    return Estimate(
        difference=difference,
        se=se,
        df=np.full(len(se), n - 1.0),
        p=2 * student.sf(np.abs(_ratio(difference, se)), n - 1),
        g=g,
        g_se=np.sqrt(null + g**2 / (2 * n)),
        g_se_null=np.sqrt(null),
        g_growth=growth,
        g_df=n - 1,
        n_a=n,
        n_b=n,
        n=n,
    )


def fixed_studies(estimates: list[Estimate]) -> tuple[Pooled, Array, Array, Array]:
    """The common effect in the studies at hand, for fewer than three of them: nothing is said of studies not seen.

    With one study this is that study. With two, tau² cannot be told from noise and the Hartung–Knapp interval has
    one degree of freedom; the groups are compared with the study as a stratum, variances added (Welch–Satterthwaite).

    Studies weigh n_a n_b / (n_a + n_b) in g as in the difference: the variance of g grows with g, and weights by it
    would heed the smaller of two effects.

    Returns:
        g, with p of the stratified difference; the stratified difference and its interval.
    """
    share, difference, spread, df, p = stratified(estimates)
    g, g_se = np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates])
    k = np.isfinite(g).sum(axis=0)
    g_df = np.maximum((np.isfinite(g) * np.array([e.g_df for e in estimates])[:, None]).sum(axis=0), 1)
    effect = (share * np.nan_to_num(g)).sum(axis=0)
    se = np.sqrt((share**2 * np.nan_to_num(g_se) ** 2).sum(axis=0))
    t, half, nothing = _ratio(difference, spread), student.isf(TAIL, df) * spread, np.full(len(effect), np.nan)
    low, high = _interval(effect, se, g_df, t, df)
    pooled = Pooled(
        effect=effect,
        se=se,
        ci_low=low,
        ci_high=high,
        p=p,
        tau2=nothing,
        prediction_low=nothing,
        prediction_high=nothing,
        k=k,
    )
    return pooled, difference, difference - half, difference + half


def stratified(estimates: list[Estimate]) -> tuple[Array, Array, Array, Array, Array]:
    """The difference of the groups with the study as a stratum: share of each study (studies × features), difference,
    its standard error, degrees of freedom (Welch–Satterthwaite) and p."""
    share = shares(estimates)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = share**2 * np.array([np.nan_to_num(e.se) for e in estimates]) ** 2
        difference = (share * np.array([np.nan_to_num(e.difference) for e in estimates])).sum(axis=0)
        df = parts.sum(axis=0) ** 2 / np.nansum(parts**2 / np.array([e.df for e in estimates]), axis=0)
        spread = np.sqrt(parts.sum(axis=0))
        p = 2 * student.sf(np.abs(_ratio(difference, spread)), df)
    return share, difference, spread, df, p


def shares(estimates: Sequence[Estimate]) -> Array:
    """Weights of studies, n_a n_b / (n_a + n_b) of those that have a g, summing to 1 over studies; NaN where none
    has."""
    sizes = np.array([e.n_a * e.n_b / (e.n_a + e.n_b) for e in estimates])[:, None]
    share = np.isfinite([e.g for e in estimates]) * sizes
    with np.errstate(invalid="ignore"):
        return share / share.sum(axis=0)


def _interval(g: Array, se: Array, g_df: Array | int, t: Array, df: Array) -> tuple[Array, Array]:
    """95 % interval of g: as its standard error has it, but for the end towards zero, which is that of the test.

    The standard error knows of the noise in the standard deviation that g is measured in, and is too large where there
    is no effect: findings would have intervals that reach over zero. At that end the noncentral t of which the test's t
    is a quantile gives the bound (Steiger & Fouladi 1997), and away from zero whichever of the two is further.
    """
    half = student.isf(TAIL, g_df) * se
    low, high = g - half, g + half
    rows = np.flatnonzero((np.abs(t) > 1) & (np.sign(t) == np.sign(g)))  # both reach over zero where t is small
    size, degrees = np.minimum(np.abs(t[rows]), FAR_OUT), np.broadcast_to(df, g.shape)[rows]
    near, far = (np.abs(g[rows]) * nctdtrinc(degrees, p, size) / size for p in (1 - TAIL, TAIL))
    far = np.fmax(far, np.abs(g[rows]) + half[rows])
    low[rows], high[rows] = np.where(g[rows] > 0, (near, far), (-far, -near))
    return low, high


def paule_mandel(effect: Array, variance: Array) -> Array:
    """Between-study variance tau² (studies × features; NaN = study lacks the feature): 0, or where Q(tau²) = k − 1."""
    k = np.isfinite(effect).sum(axis=0)

    def excess(tau2: Array) -> Array:
        weight = np.where(np.isfinite(effect), 1 / (variance + tau2), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weight * np.nan_to_num(effect)).sum(axis=0) / weight.sum(axis=0)
        return np.nansum(weight * (effect - mean) ** 2, axis=0) - (k - 1)

    low = np.zeros(effect.shape[1])
    positive = (excess(low) > 0) & (k > 1)
    # Q falls with tau²; at this value every term is below (k − 1) / k.
    high = np.where(positive, np.nanmax(np.where(np.isfinite(effect), effect, -np.inf), axis=0, initial=-1e9), 0.0)
    low_effect = np.nanmin(np.where(np.isfinite(effect), effect, np.inf), axis=0, initial=1e9)
    high = np.where(positive, (high - low_effect) ** 2 * np.maximum(k, 2) + 1.0, 0.0)
    for _ in range(100):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(positive, (low + high) / 2, 0.0)


def random_effects(effect: Array, se: Array) -> Pooled:
    """Random-effects mean over studies (studies × features): Paule–Mandel tau², Hartung–Knapp interval, prediction
    interval.

    Equal to `statsmodels.stats.meta_analysis.combine_effects(method_re="pm")`, for all features at once, where the
    iteration of statsmodels finds tau² (it may stop at 0 although Q(0) > k − 1; the bisection here cannot).
    """
    k = np.isfinite(effect).sum(axis=0)
    tau2 = paule_mandel(effect, se**2)
    weight = np.where(np.isfinite(effect), 1 / (se**2 + tau2), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = weight.sum(axis=0)
        mean = (weight * np.nan_to_num(effect)).sum(axis=0) / total
        scale = np.nansum(weight * (effect - mean) ** 2, axis=0) / (k - 1)
        error = np.sqrt(scale / total)
        p = 2 * student.sf(np.abs(_ratio(mean, error)), k - 1)
        half = student.isf(TAIL, k - 1) * error
        reach = np.where(k > 2, student.isf(TAIL, np.maximum(k - 2, 1)) * np.sqrt(tau2 + error**2), np.nan)
    return Pooled(
        effect=mean,
        se=error,
        ci_low=mean - half,
        ci_high=mean + half,
        p=p,
        tau2=tau2,
        prediction_low=mean - reach,
        prediction_high=mean + reach,
        k=k,
    )


def leave_one_out(effect: Array, se: Array) -> tuple[Array, Array]:
    """Smallest and largest pooled effect when one study at a time is left out; NaN below three studies."""
    k = np.isfinite(effect).sum(axis=0)
    rest = np.array([random_effects(np.delete(effect, i, 0), np.delete(se, i, 0)).effect for i in range(len(effect))])
    rest = np.where(np.isfinite(effect) & (k > 2), rest, np.nan)
    low, high = np.full(effect.shape[1], np.nan), np.full(effect.shape[1], np.nan)
    some = np.isfinite(rest).any(axis=0)
    low[some], high[some] = np.nanmin(rest[:, some], axis=0), np.nanmax(rest[:, some], axis=0)
    return low, high


def nested(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array, Array, int]:
    """Groups in different studies, the study is the unit: difference of two pooled means and its t test.

    Args:
        a, b: (means, standard errors of the means) of each group, studies × features, at least two studies each.

    Returns:
        difference, its standard error, p, degrees of freedom (k_a + k_b − 2). The variance of a group's mean is 1 / Σ
        1/(tau² + se²): tau²/k plus sampling when the studies are of one size.
    """
    pooled_a, pooled_b = random_effects(*a), random_effects(*b)
    df = len(a[0]) + len(b[0]) - 2
    difference, se = (
        pooled_a.effect - pooled_b.effect,
        np.sqrt(_mean_variance(a[1], pooled_a.tau2) + _mean_variance(b[1], pooled_b.tau2)),
    )
    return difference, se, 2 * student.sf(np.abs(_ratio(difference, se)), df), df


def labelings(strata: Array, is_a: Array, *, limit: int, seed: int) -> tuple[Array, bool]:
    """Relabelings of group a within strata: every one when there are fewer than `limit`, else `limit` drawn with
    replacement.

    Returns:
        (labelings × donors) booleans with the observed labels first, and whether they are all there are.
    """
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    sizes = [int(is_a[rows].sum()) for rows in groups]
    number = prod(comb(len(rows), size) for rows, size in zip(groups, sizes, strict=True))
    if number < limit:
        choices = product(*(combinations(rows, size) for rows, size in zip(groups, sizes, strict=True)))
        labels = np.zeros((number, len(is_a)), bool)
        for row, choice in zip(labels, choices, strict=True):
            row[[i for part in choice for i in part]] = True
        observed = int(np.flatnonzero((labels == is_a).all(axis=1))[0])
        labels[[0, observed]] = labels[[observed, 0]]
        return labels, True
    rng = np.random.default_rng(seed)
    labels = np.repeat(is_a[None], limit, axis=0)
    for rows in groups:
        labels[1:, rows] = rng.permuted(labels[1:, rows], axis=1)
    return labels, False


def signs(n: int, *, limit: int, seed: int) -> tuple[Array, bool]:
    """Sign flips of n paired differences, as `labelings`: +1 and −1, the observed signs first."""
    if 2**n < limit:
        return np.array(list(product((1.0, -1.0), repeat=n))), True
    flips = np.random.default_rng(seed).choice((1.0, -1.0), size=(limit, n))
    flips[0] = 1.0
    return flips, False


def group_weights(strata: Array, labels: Array) -> Array:
    """Weights W (labelings × donors) such that W @ values is the difference of groups, strata weighted by n_a n_b /
    (n_a + n_b)."""
    weights = np.zeros(labels.shape)
    total = 0.0
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        n_a = int(labels[0, rows].sum())
        n_b = len(rows) - n_a
        share = n_a * n_b / (n_a + n_b)
        weights[:, rows] = np.where(labels[:, rows], share / n_a, -share / n_b)
        total += share
    return weights / total


def permutation_p(statistics: Array, *, every: bool) -> tuple[Array, Array]:
    """Two-sided p and the smallest p attainable, from the statistic under each labeling (labelings × features,
    observed first)."""
    size = np.abs(statistics)
    # Equal labelings differ in the last digit; the tolerance counts them as equal.
    slack = 1e-9 * np.maximum(size.max(axis=0), 1e-300)
    p = (size >= size[0] - slack).mean(axis=0)
    least = (size >= size.max(axis=0) - slack).mean(axis=0) if every else np.full(size.shape[1], 1 / len(size))
    return np.where(np.isfinite(statistics[0]), p, np.nan), least


def fdr(p: Array) -> Array:
    """Benjamini–Hochberg adjusted p; NaN stays NaN and does not count."""
    adjusted = np.full(len(p), np.nan)
    tested = np.isfinite(p)
    if tested.any():
        order = np.argsort(p[tested], kind="stable")
        scaled = p[tested][order] * (len(order) / np.arange(1, len(order) + 1))
        adjusted[np.flatnonzero(tested)[order]] = np.minimum.accumulate(scaled[::-1])[::-1].clip(0, 1)
    return adjusted


def _mean_variance(se: Array, tau2: Array) -> Array:
    """Variance of a random-effects mean."""
    return 1 / np.where(np.isfinite(se), 1 / (se**2 + tau2), 0.0).sum(axis=0)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient; NaN where the denominator is 0, as a feature without variation has no test."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > NO_SPREAD, numerator / denominator, np.nan)
