"""Products of genes over cells (the Gram matrix) and its leading eigenvectors: principal components without the cells.

One triangle of a symmetric matrix is all that is computed.
"""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import scipy.sparse as sp

BLOCK = 2_000
"""Cells made dense at a time: 16 MB at 2,000 genes."""
FEW = 4
"""Rows of a matrix per eigenvector wanted, above which the eigenvectors are found one after the other."""


def gram(X: sp.csr_matrix) -> np.ndarray:
    """Upper triangle of X'X, genes × genes, in single precision: of one sample; double precision is for sums of them.

    The cells are made dense, block by block: with a fifth of the values filled a sparse product takes as long, and with
    more of them many times as long.
    """
    from scipy.linalg.blas import ssyrk

    product = np.zeros((X.shape[1],) * 2, np.float32, order="F")
    for start in range(0, X.shape[0], BLOCK):
        # BLAS is column-major: the transpose of a C-ordered block is free, and its product is that of the genes.
        product = ssyrk(1.0, X[start : start + BLOCK].toarray().T, beta=1.0, c=product, overwrite_c=1)
    return product


def mirrored(upper: np.ndarray) -> np.ndarray:
    """The symmetric matrix of which one triangle was filled."""
    return np.triu(upper) + np.triu(upper, 1).T


def eigenvectors(matrix: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The `n` leading eigenvectors (columns, largest entry positive) and eigenvalues of a symmetric matrix, descending.

    A few of many are found by Lanczos' method from a fixed start, to machine precision and in a tenth of the time.
    """
    pairs = _few(matrix.__matmul__, len(matrix), n, np.float64) if FEW * n < len(matrix) else None
    return _ordered(*(pairs or _all(matrix, n)))


def axes(upper: np.ndarray, mean: np.ndarray, n_cells: int, n: int) -> np.ndarray:
    """The `n` leading axes (columns, largest entry positive) of the cells about their mean, single precision.

    Args:
        upper: upper triangle of the genes' products, which is neither centred nor mirrored in memory.
        mean: of each gene.
        n_cells: that the products are of.
        n: number of axes.
    """
    from scipy.linalg.blas import ssymv

    centre = mean.astype(np.float32)

    def scattered(vector: np.ndarray) -> np.ndarray:
        return np.asarray(ssymv(1.0, upper, vector) - n_cells * (centre @ vector) * centre)

    pairs = _few(scattered, len(upper), n, np.float32) if FEW * n < len(upper) else None
    if pairs is None:
        pairs = _all(mirrored(upper).astype(np.float64) - n_cells * np.outer(mean, mean), n)
    return _ordered(*pairs)[0].astype(np.float32)


def _few(
    times: Callable[[np.ndarray], np.ndarray], size: int, n: int, dtype: type
) -> tuple[np.ndarray, np.ndarray] | None:
    """Eigenvalues and vectors by Lanczos' method; None where the matrix has too few directions for it."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    with suppress(ArpackError):
        start: np.ndarray = np.random.default_rng(0).standard_normal(size).astype(dtype)
        return eigsh(LinearOperator((size, size), matvec=times, dtype=dtype), k=n, v0=start)
    return None


def _all(matrix: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import eigh

    return eigh(matrix, subset_by_index=[len(matrix) - n, len(matrix) - 1])


def _ordered(values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-values, kind="stable")
    values, vectors = values[order], vectors[:, order]
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(len(values))]
    return vectors * np.where(largest < 0, -1, 1).astype(vectors.dtype), np.maximum(values, 0)
