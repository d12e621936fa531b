"""Products of genes and their eigenvectors, against those of numpy."""

import numpy as np
import pytest
import scipy.sparse as sp
from brainmet.core import gram
from brainmet.core.gram import axes, eigenvectors


def test_one_triangle_of_the_products() -> None:
    X = sp.random_array((50, 30), density=0.3, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    upper, dense = gram.gram(X), X.toarray()
    np.testing.assert_allclose(gram.mirrored(upper), dense.T @ dense, rtol=1e-5)


@pytest.mark.parametrize("size", [12, 150])
def test_leading_eigenvectors_by_either_method(size: int) -> None:
    X = np.random.default_rng(0).normal(size=(400, size)) * np.linspace(3, 0.1, size)
    X -= X.mean(axis=0)
    vectors, values = eigenvectors(X.T @ X, 5)
    _, expected, axes = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(values, expected[:5] ** 2, rtol=1e-9)
    np.testing.assert_allclose(np.abs(axes[:5] @ vectors), np.eye(5), atol=1e-7)
    assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(5)] > 0).all()


def test_a_matrix_with_too_few_directions() -> None:
    gram = np.zeros((100, 100))
    gram[:3, :3] = np.diag([3.0, 2.0, 1.0])
    vectors, values = eigenvectors(gram, 6)
    np.testing.assert_allclose(values, [3, 2, 1, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(6), atol=1e-9)


@pytest.mark.parametrize("size", [12, 150])
def test_axes_need_neither_centred_nor_mirrored_products(size: int) -> None:
    X = (np.random.default_rng(0).normal(2, 1, (400, size)) * np.linspace(3, 0.1, size)).astype(np.float32)
    ours = axes(gram.gram(sp.csr_matrix(X)), X.mean(axis=0, dtype=np.float64), 400, 3)
    expected = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:3]
    np.testing.assert_allclose(np.abs(expected @ ours), np.eye(3), atol=1e-4)
    assert ours.dtype == np.float32 and (ours[np.abs(ours).argmax(axis=0), np.arange(3)] > 0).all()
