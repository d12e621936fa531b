"""Non-negative factors: planted ones return, and the loss is that of scikit-learn's solver after more rounds."""

import numpy as np
import pytest
from brainmet.nmf import factorise
from sklearn.decomposition import NMF, non_negative_factorization


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of three factors of 20 of 90 columns each and noise, and the factors."""
    rng = np.random.default_rng(seed)
    H = np.kron(np.eye(3), np.ones(20)) * rng.uniform(0.5, 2, 60)
    H = np.hstack([H, np.zeros((3, 30))]).astype(np.float32)
    W = rng.gamma(0.5, 2, (200, 3)).astype(np.float32)
    return np.abs(W @ H + rng.normal(0, 0.2, (200, 90)).astype(np.float32)), H


def loss(X: np.ndarray, H: np.ndarray) -> float:
    W = non_negative_factorization(X, H=H, n_components=len(H), update_H=False, max_iter=500)[0]
    return float(np.linalg.norm(X - W @ H))


def test_planted_factors_return_whatever_else_is_asked_for() -> None:
    X, H = planted()
    both, alone = factorise(X, [3, 5], max_iter=50, seed=1), factorise(X, [3], max_iter=50, seed=1)
    assert [found.shape for found in both] == [(3, 90), (5, 90)] and min(found.min() for found in both) >= 0
    np.testing.assert_allclose(both[0], alone[0], rtol=1e-3, atol=1e-4)
    found, true = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (both[0], H))
    assert ((found @ true.T).max(axis=0) > 0.99).all()


@pytest.mark.parametrize("rank", [2, 6])
def test_a_third_of_the_rounds_of_another_solver(rank: int) -> None:
    X = np.random.default_rng(1).poisson(0.5, (300, 80)).astype(np.float32)
    theirs = NMF(rank, init="nndsvd", max_iter=90, random_state=1, tol=0).fit(X).components_
    assert loss(X, factorise(X, [rank], max_iter=36, seed=1)[0]) <= loss(X, theirs) * 1.0001


def test_nothing_asked_for_and_empty_columns() -> None:
    assert factorise(np.ones((5, 4), np.float32), [], max_iter=5, seed=1) == []
    X = planted()[0] * (np.arange(90) > 5)
    assert np.isfinite(factorise(X.astype(np.float32), [4], max_iter=20, seed=1)[0]).all()
