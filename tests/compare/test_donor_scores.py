"""Donor scores: thinning is unbiased in depth and exact, and every gene of a signature weighs the same."""

import numpy as np
import pytest
from brainmet.compare.donor_scores import GeneSet, log_cpm, thin, thinned_log_cpm, weights_of
from scipy.stats import binom

from tests.compare_toy import SCORING


def test_the_mean_over_thinnings_is_exact() -> None:
    """Against the sum over the whole binomial distribution, for counts below and above the series' threshold."""
    counts = np.array([[0, 1, 3, 40, 700, 25_000, 4_256], [0, 0, 1, 10, 200, 9_000, 789]], float)
    share = counts[1].sum() / counts[0].sum()
    expected = []
    for n in counts[0].astype(int):
        drawn = np.arange(n + 1)
        expected.append(binom.pmf(drawn, n, share) @ np.log2((drawn + 0.5) / (counts[1].sum() + 1) * 1e6))
    np.testing.assert_allclose(thinned_log_cpm(counts)[0], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(thinned_log_cpm(counts)[1], log_cpm(counts)[1], rtol=1e-12)


def test_it_is_the_mean_of_seeded_thinnings() -> None:
    counts = np.random.default_rng(0).poisson(np.array([[30.0], [3.0]]) * np.linspace(0.1, 4, 50))
    total = counts[1].sum()
    draws = [np.log2((thin(counts, seed=seed)[0] + 0.5) / (total + 1) * 1e6) for seed in range(2000)]
    np.testing.assert_allclose(thinned_log_cpm(counts.astype(float))[0], np.mean(draws, axis=0), atol=0.12)


def test_depth_alone_makes_no_difference() -> None:
    """The same rates sequenced ten times deeper: the mean score is the same, its noise smaller."""
    rng = np.random.default_rng(1)
    rates = np.exp(rng.normal(0, 1.5, 400))
    shallow, deep = rng.poisson(rates, (300, 400)), rng.poisson(10 * rates, (300, 400))
    bias = thinned_log_cpm(np.vstack([shallow, deep]).astype(float)) - np.log2(1e6)
    np.testing.assert_allclose(bias[:300].mean(axis=0), bias[300:].mean(axis=0), atol=0.35)
    assert abs(bias[:300].mean() - bias[300:].mean()) < 0.01
    assert bias[300:].std(axis=0).mean() < 0.6 * bias[:300].std(axis=0).mean()


def test_a_single_down_gene_does_not_outweigh_the_up_genes() -> None:
    symbols = [f"G{i}" for i in range(200)]
    position = {symbol: i for i, symbol in enumerate(symbols)}
    level = np.arange(200.0)
    weights = weights_of([GeneSet("s", tuple(symbols[:19]), (symbols[50],))], position, level, scoring=SCORING)[:, 0]
    assert weights[:19] == pytest.approx(1 / 20)
    assert weights[50] == pytest.approx(-1 / 20)
    assert weights.sum() == pytest.approx(0, abs=1e-12)
