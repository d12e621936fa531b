"""Detectable effects against simulated tests, statsmodels and R."""

import numpy as np
import pytest
from brainmet.stats import effects
from brainmet.stats.power import detectable, detectable_in, detectable_over, noncentrality
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from tests.compare_toy import draw_groups


def test_detectable_effect_has_the_power() -> None:
    # R: power.t.test(n = 17, delta = 1, power = NULL) gives 0.807; n = 16.71 gives 0.8.
    se, df = np.array([(2 / 17) ** 0.5, 1.0]), np.array([32, 0])
    np.testing.assert_allclose(detectable(se, df, power=0.8070, alpha=0.05), [1.0, np.nan], atol=2e-3)


def test_what_the_pooled_test_detects_it_finds_in_four_of_five_runs() -> None:
    """Hartung-Knapp over simulated studies, without and with variation between them, of two groups and of pairs."""
    rng, many = np.random.default_rng(0), 4000
    for k, n, tau in ((3, 8, 0.0), (5, 5, 0.5)):
        flat = [draw_groups(rng, (n, n), np.zeros(many)) for _ in range(k)]
        mde = detectable_over(flat, np.full(many, tau**2), power=0.8, alpha=0.05)
        real = [draw_groups(rng, (n, n), mde + rng.normal(0, tau, many)) for _ in range(k)]
        p = effects.random_effects(np.array([e.g for e in real]), np.array([e.g_se for e in real])).p
        assert 0.74 < (p < 0.05).mean() < 0.82
    flat = [draw_groups(rng, (3, 3), np.zeros(2)) for _ in range(3)]
    assert np.isnan(detectable_over(flat, np.zeros(2), power=0.8, alpha=0.05)).all()
    far = [draw_groups(rng, (3, 3), np.full(many, 100.0)) for _ in range(3)]  # no effect gets there, however large
    p = effects.random_effects(np.array([e.g for e in far]), np.array([e.g_se for e in far])).p
    assert (p < 0.05).mean() < 0.8


def test_the_detectable_effect_of_pooled_studies_fulfils_its_equation() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 9, 1))
    studies = [effects.two_groups(a, b[:4]), effects.pairs(a, b), effects.two_groups(a[:6], b), effects.one_sample(a)]
    found = detectable_over(studies, np.array([0.2]), power=0.8, alpha=0.05)[0]
    weight = [1 / (0.2 + e.g_se_null[0] ** 2 + e.g_growth[0] * found**2) for e in studies]
    assert found == pytest.approx(noncentrality(3, power=0.8, alpha=0.05) / sum(weight) ** 0.5)


def test_pairs_find_smaller_effects_the_more_they_go_together() -> None:
    """Against statsmodels: a paired t test finds d_z; in standard deviations of the groups that is d_z times
    the ratio of the differences' spread to theirs."""
    rng = np.random.default_rng(0)
    donor = rng.normal(size=(9, 1)) * [0.0, 1.0, 3.0]
    a, b = (donor + rng.normal(size=(9, 3)) for _ in range(2))
    ratio = (a - b).std(axis=0, ddof=1) / np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
    paired = detectable_in([effects.pairs(a, b)], power=0.8, alpha=0.05)
    np.testing.assert_allclose(paired, TTestPower().solve_power(nobs=9, alpha=0.05, power=0.8) * ratio, rtol=1e-4)
    apart = detectable_in([effects.two_groups(a, b)], power=0.8, alpha=0.05)
    np.testing.assert_allclose(apart, TTestIndPower().solve_power(nobs1=9, alpha=0.05, power=0.8), rtol=1e-4)
    assert paired[2] < 0.5 * apart[2]


def test_detectable_effect_of_three_donors_has_the_power() -> None:
    """One degree of freedom, where the far lower tail of the noncentral t is not a number."""
    found = noncentrality(1, power=0.8, alpha=0.05)
    assert stats.nct.sf(stats.t.isf(0.025, 1), 1, found) == pytest.approx(0.8)


def test_detectable_effect_leaves_out_studies_that_lack_the_feature() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 2)), rng.normal(size=(6, 2))
    b[:, 1] = np.nan
    both = [effects.two_groups(a, b), effects.two_groups(a[:, ::-1], a[:4])]
    found = detectable_in(both, power=0.8, alpha=0.05)
    two, one = (5 * 6 / 11 + 5 * 4 / 9) ** -0.5, (5 * 4 / 9) ** -0.5
    np.testing.assert_allclose(found, detectable(np.array([two, one]), np.array([16, 7]), power=0.8, alpha=0.05))
    a, b = rng.normal(size=(2, 4, 2))
    pairs, groups = effects.pairs(b + 0.1 * a, b), effects.two_groups(*rng.normal(size=(2, 20, 2)))
    weighed = np.hypot(2 / 12 * pairs.g_se_null, 10 / 12 * groups.g_se_null)  # as the test weighs the studies
    np.testing.assert_allclose(
        detectable_in([pairs, groups], power=0.8, alpha=0.05),
        detectable(weighed, 41, power=0.8, alpha=0.05),
    )
    large = [effects.two_groups(*rng.normal(size=(2, 40, 2))) for _ in range(3)]
    over = [detectable_over(studies, np.zeros(2), power=0.8, alpha=0.05)[1] for studies in (large, [both[0], *large])]
    assert over[0] == over[1] > 0
