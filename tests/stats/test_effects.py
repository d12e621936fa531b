"""Effect sizes against hand numbers, scipy, statsmodels and published values."""

import numpy as np
import pytest
from brainmet.stats import effects
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from tests.compare_toy import draw_groups

RNG = np.random.default_rng(0)


def test_hedges_g_of_a_hand_example() -> None:
    # Means 4 and 2, both variances 1: d = 2; J(4) = 0.7979 (Γ(2) / (√2 Γ(1.5))).
    e = effects.two_groups(np.array([[3.0], [4.0], [5.0]]), np.array([[1.0], [2.0], [3.0]]))
    assert e.difference[0] == 2
    assert e.g[0] == pytest.approx(2 * 0.797885, abs=1e-5)
    assert e.g_se[0] ** 2 == pytest.approx(6 / 9 + e.g[0] ** 2 / 12)


def test_p_is_welch_and_paired_t() -> None:
    a, b = RNG.normal(size=(5, 7)), RNG.normal(1, 2, size=(9, 7))
    welch = stats.ttest_ind(a, b, equal_var=False)
    e = effects.two_groups(a, b)
    np.testing.assert_allclose(e.p, welch.pvalue)
    np.testing.assert_allclose(e.difference_interval()[0], welch.confidence_interval().low)
    np.testing.assert_allclose(effects.pairs(a, b[:5]).p, stats.ttest_rel(a, b[:5]).pvalue)


def test_one_study_pools_to_itself() -> None:
    e = effects.two_groups(RNG.normal(size=(4, 3)), RNG.normal(size=(6, 3)))
    pooled, _, low, high = effects.fixed_studies([e])
    np.testing.assert_allclose(pooled.effect, e.g)
    np.testing.assert_allclose(pooled.p, e.p)
    np.testing.assert_allclose((low, high), e.difference_interval())


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_random_effects_equal_statsmodels(spread: float) -> None:
    rng = np.random.default_rng(3)
    effect, se = rng.normal(0.5, 0.2 + spread, size=(6, 20)), rng.uniform(0.1, 0.6, size=(6, 20))
    ours = effects.random_effects(effect, se)
    weight = 1 / (se**2 + ours.tau2)
    q = (weight * (effect - ours.effect) ** 2).sum(axis=0)
    # The definition of Paule and Mandel: Q(tau2) = k - 1, or tau2 = 0 where Q(0) is below it already.
    np.testing.assert_allclose(q[ours.tau2 > 0], 5, rtol=1e-9)
    assert (q[ours.tau2 == 0] <= 5).all()
    agreed = 0
    for j in range(effect.shape[1]):
        theirs = combine_effects(effect[:, j], se[:, j] ** 2, method_re="pm", atol=1e-10, maxiter=1000)
        if theirs.tau2 <= 0 < ours.tau2[j]:
            continue  # statsmodels' iteration stepped below zero and stopped there, though Q(0) > k - 1
        agreed += 1
        assert ours.tau2[j] == pytest.approx(theirs.tau2, abs=1e-6)
        assert ours.effect[j] == pytest.approx(theirs.mean_effect_re, abs=1e-6)
        assert ours.se[j] == pytest.approx(np.sqrt(theirs.var_hksj_re), abs=1e-6)
        assert ours.ci_high[j] - ours.effect[j] == pytest.approx(stats.t.isf(0.025, 5) * ours.se[j])
    assert agreed >= 10


def test_random_effects_skip_studies_without_the_feature() -> None:
    effect, se = RNG.normal(size=(4, 1)), np.full((4, 1), 0.3)
    gap_effect, gap_se = np.vstack([effect, [[np.nan]]]), np.vstack([se, [[np.nan]]])
    for name in ("effect", "tau2", "p", "ci_low", "prediction_low", "k"):
        whole, gap = (
            getattr(effects.random_effects(effect, se), name),
            getattr(effects.random_effects(gap_effect, gap_se), name),
        )
        np.testing.assert_allclose(whole, gap)


def test_leave_one_out_spans_the_pairs() -> None:
    low, high = effects.leave_one_out(np.array([[0.0], [1.0], [2.0]]), np.ones((3, 1)))
    assert (low[0], high[0]) == (pytest.approx(0.5), pytest.approx(1.5))
    assert np.isnan(effects.leave_one_out(np.zeros((2, 1)), np.ones((2, 1)))[0][0])


def test_nested_of_equal_studies_is_the_t_test_of_their_means() -> None:
    # No sampling error to speak of: the study means are the data.
    a, b = np.array([[1.0], [2.0], [4.0]]), np.array([[5.0], [7.0], [6.0], [9.0]])
    tiny = 1e-5
    difference, _, p, df = effects.nested((a, np.full_like(a, tiny)), (b, np.full_like(b, tiny)))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert df == 5
    assert difference[0] == pytest.approx(a.mean() - b.mean())
    assert p[0] == pytest.approx(2 * stats.t.sf(abs(welch.statistic[0]), 5), rel=1e-6)


def test_every_labeling_is_enumerated_once() -> None:
    strata, is_a = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([1, 0, 0, 1, 1, 0, 0], bool)
    labels, every = effects.labelings(strata, is_a, limit=1000, seed=1)
    assert every
    assert len(labels) == 3 * 6 == len(np.unique(labels, axis=0))
    assert (labels[0] == is_a).all()
    assert (labels[:, :3].sum(1) == 1).all()


def test_permutation_p_of_one_study_is_scipys() -> None:
    a, b = RNG.normal(1, 1, 4), RNG.normal(0, 1, 5)
    strata, is_a = np.zeros(9, int), np.repeat([True, False], [4, 5])
    labels, every = effects.labelings(strata, is_a, limit=1000, seed=1)
    statistic = effects.group_weights(strata, labels) @ np.r_[a, b][:, None]
    assert statistic[0, 0] == pytest.approx(a.mean() - b.mean())
    p, least = effects.permutation_p(statistic, every=every)
    exact = stats.permutation_test(
        (a, b), lambda x, y: abs(x.mean() - y.mean()), alternative="greater", n_resamples=1000
    )
    assert p[0] == pytest.approx(exact.pvalue)
    assert least[0] == pytest.approx(1 / 126)


def test_balanced_groups_cannot_get_below_two_labelings() -> None:
    strata, is_a = np.zeros(6, int), np.repeat([True, False], 3)
    labels, every = effects.labelings(strata, is_a, limit=1000, seed=1)
    p, least = effects.permutation_p(
        effects.group_weights(strata, labels) @ np.array([[9.0], [8], [7], [1], [2], [3]]), every=every
    )
    assert p[0] == least[0] == pytest.approx(2 / 20)


def test_signs_of_pairs() -> None:
    flips, every = effects.signs(5, limit=1000, seed=1)
    assert every
    assert flips.shape == (32, 5)
    assert (flips[0] == 1).all()
    drawn, every = effects.signs(12, limit=1000, seed=1)
    assert not every
    assert drawn.shape == (1000, 12)


def test_fdr_ignores_what_was_not_tested() -> None:
    np.testing.assert_allclose(effects.fdr(np.array([0.01, np.nan, 0.04, 0.03])), [0.03, np.nan, 0.04, 0.04])
    assert np.isnan(effects.fdr(np.array([np.nan]))).all()
    assert effects.fdr(np.zeros(0)).size == 0


def test_false_discovery_rates_by_hand() -> None:
    np.testing.assert_allclose(effects.fdr(np.array([0.03, 0.01, 0.5, 0.02])), [0.04, 0.04, 0.5, 0.04])


def test_a_constant_feature_has_no_test() -> None:
    e = effects.two_groups(np.ones((3, 1)), np.ones((4, 1)))
    assert np.isnan(e.g[0])
    assert np.isnan(e.p[0])


def test_null_p_values_are_uniform() -> None:
    rng = np.random.default_rng(5)
    estimates = [effects.two_groups(rng.normal(size=(4, 4000)), rng.normal(size=(4, 4000))) for _ in range(4)]
    two = effects.fixed_studies(estimates[:2])[0].p
    four = effects.random_effects(np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates])).p
    for p in (two, four):
        assert 0.035 < (p < 0.05).mean() < 0.065


def _inside(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize("sd", [(1.0, 1.0), (3.0, 1.0)])
@pytest.mark.parametrize("n", [(3, 3), (3, 8), (8, 8)])
@pytest.mark.parametrize("delta", [0.0, 1.0, 2.0])
def test_intervals_of_one_study_cover(n: tuple[int, int], delta: float, sd: tuple[float, float]) -> None:
    """4,000 studies: the intervals of the difference and of g, which leaves out zero where the test finds something."""
    rng, many = np.random.default_rng(1), 4_000
    spread = np.sqrt((sd[0] ** 2 + sd[1] ** 2) / 2)
    found = draw_groups(rng, n, np.full(many, delta * spread), sd=sd)
    assert _inside(*found.difference_interval(), delta * spread) == pytest.approx(0.95, abs=0.025)
    low, high = found.interval()
    assert 0.92 <= _inside(low, high, delta) <= 0.995
    assert (((low > 0) | (high < 0)) == (found.p < 0.05)).all()


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("delta", [0.0, 1.0])
def test_intervals_of_pairs_and_of_two_studies_cover(delta: float, correlation: float) -> None:
    rng, many, found = np.random.default_rng(2), 4_000, []
    for n in (4, 6):
        own, shared = rng.normal(size=(2, n, many)), rng.normal(size=(n, many))
        a, b = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * shared
        found.append(effects.pairs(a + delta, b))
    both = effects.fixed_studies(found)[0]
    for low, high, p in ((*found[0].interval(), found[0].p), (both.ci_low, both.ci_high, both.p)):
        assert 0.92 <= _inside(low, high, delta) <= 0.99
        assert (((low > 0) | (high < 0)) != (p < 0.05)).mean() < 0.005


def test_an_interval_of_groups_that_hardly_vary_ends() -> None:
    found = effects.two_groups(1e6 + np.array([[0.0], [1e-3], [2e-3]]), np.array([[0.0], [1e-3], [2e-3]]))
    low, high = found.interval()
    assert 0 < low[0] / found.g[0] < 0.5 and high[0] / found.g[0] > 1.5


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.5])
@pytest.mark.parametrize("k", [3, 4, 8])
def test_intervals_of_pooled_studies_cover(k: int, tau: float) -> None:
    """Hartung-Knapp over k studies of 4 to 10 donors per group."""
    rng, many = np.random.default_rng(2), 5_000
    sizes = rng.integers(4, 11, (k, 2))
    estimates = [draw_groups(rng, tuple(n), 0.8 + rng.normal(0, tau, many)) for n in sizes]
    found = effects.random_effects(np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates]))
    assert 0.93 <= _inside(found.ci_low, found.ci_high, 0.8) <= 0.99
    null = [draw_groups(rng, tuple(n), rng.normal(0, tau, many)) for n in sizes]
    p = effects.random_effects(np.array([e.g for e in null]), np.array([e.g_se for e in null])).p
    assert (p < 0.05).mean() <= 0.06


@pytest.mark.slow
def test_two_studies_and_nested_groups_keep_their_level() -> None:
    rng, many = np.random.default_rng(3), 20_000
    p = effects.fixed_studies([draw_groups(rng, n, np.zeros(many)) for n in ((4, 4), (5, 3))])[0].p
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.012)
    for tau in (0.0, 0.5):
        groups = []
        for k in (3, 4):
            x = [rng.normal(rng.normal(0, tau, many), 1, (6, many)) for _ in range(k)]
            groups.append(
                (np.array([v.mean(axis=0) for v in x]), np.array([v.std(axis=0, ddof=1) / 6**0.5 for v in x]))
            )
        assert (effects.nested(*groups)[2] < 0.05).mean() <= 0.065
