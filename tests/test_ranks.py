"""Ranks beside scipy.stats, which is not to be imported for them."""

import numpy as np
from brainmet.ranks import ranks
from scipy.stats import rankdata


def test_ranks_are_those_of_scipy():
    values = np.random.default_rng(0).normal(size=(40, 3)).round(1)  # with ties
    np.testing.assert_array_equal(ranks(values), rankdata(values, axis=0))
    np.testing.assert_array_equal(ranks(values, axis=1), rankdata(values, axis=1))
    np.testing.assert_array_equal(ranks(values[:, 0]), rankdata(values[:, 0]))
    np.testing.assert_array_equal(ranks(np.array([3, 1, 1])), [3, 1.5, 1.5])
