"""Ranks beside scipy.stats, which is not to be imported for them."""

import numpy as np
import pytest
from brainmet.stats.ranks import permuted_within, rank_correlations, ranks, signed_rank_p
from scipy.stats import rankdata, spearmanr, wilcoxon


def test_ranks_are_those_of_scipy():
    values = np.random.default_rng(0).normal(size=(40, 3)).round(1)  # with ties
    np.testing.assert_array_equal(ranks(values), rankdata(values, axis=0))
    np.testing.assert_array_equal(ranks(values[:, 0]), rankdata(values[:, 0]))
    np.testing.assert_array_equal(ranks(np.array([3, 1, 1])), [3, 1.5, 1.5])


def test_rank_correlations_are_those_of_scipy():
    columns = np.random.default_rng(1).integers(0, 5, (30, 4)).astype(float)
    np.testing.assert_allclose(rank_correlations(columns), spearmanr(columns).statistic, atol=1e-12)
    columns[:, 2] = 1
    constant = np.isnan(rank_correlations(columns))
    assert constant[2].all() and constant.sum() == 7


def test_positions_are_permuted_within_their_group():
    groups = np.array([0, 1, 0, 1, 0, 2])
    orders = permuted_within(groups, 200, np.random.default_rng(0))
    assert (groups[orders] == groups).all() and (np.sort(orders, axis=1) == np.arange(6)).all()
    assert len(np.unique(orders, axis=0)) == 12  # 3! of the first group times 2! of the second


@pytest.mark.parametrize(("n", "digits"), [(1, 6), (2, 6), (7, 6), (50, 6), (51, 6), (12, 1), (80, 1)])
def test_signed_ranks_are_tested_as_by_scipy(n, digits):
    values = np.random.default_rng(n).normal(0.2, size=n).round(digits)  # with one digit: with ties, and zeros
    assert signed_rank_p(values) == pytest.approx(wilcoxon(values, alternative="greater").pvalue, rel=1e-12)


def test_signed_ranks_with_ties_are_counted_out():
    # Ranks 1.5, 1.5, 3: of the 8 signs of the values, 3 give the observed sum of 4.5 or more.
    assert signed_rank_p(np.array([0.0, -1, 1, 2])) == 3 / 8
