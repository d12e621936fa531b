"""Means, dispersions, coefficients and tests of all genes at once, where pydeseq2 takes milliseconds for each gene.

The steps of all but the dispersions are pydeseq2's own. The objective of the dispersions is pydeseq2's: negative
binomial likelihood, Cox–Reid adjustment, and the prior where asked for (Love, Huber & Anders 2014 Genome Biol 15:550).
A grid over the allowed range finds the valley, a golden-section search its floor. Imported where it is needed: pydeseq2
takes seconds to import.
"""

from typing import Any, Literal

import numpy as np
from pydeseq2.default_inference import DefaultInference
from pydeseq2.utils import nb_nll
from scipy.special import gammaln, ndtr

GRID = 60
STEPS = 40
GOLDEN = (5**0.5 - 1) / 2
ROUNDS = 30
"""Rounds of least squares after which a gene is left to pydeseq2; most need five."""


class BatchInference(DefaultInference):
    """pydeseq2's inference with all genes fitted and tested together."""

    def lin_reg_mu(
        self, counts: np.ndarray, size_factors: np.ndarray, design_matrix: np.ndarray, min_mu: float
    ) -> np.ndarray:
        """As pydeseq2's `Inference.lin_reg_mu`: means by ordinary least squares."""
        size, X = np.asarray(size_factors, float)[:, None], np.asarray(design_matrix, float)
        return np.maximum(size * (X @ np.linalg.lstsq(X, counts / size, rcond=None)[0]), min_mu)

    def alpha_mle(
        self,
        counts: np.ndarray,
        design_matrix: np.ndarray,
        mu: np.ndarray,
        alpha_hat: np.ndarray,
        min_disp: float,
        max_disp: float,
        prior_disp_var: float | None = None,
        cr_reg: bool = True,
        prior_reg: bool = False,
        optimizer: Literal["BFGS", "L-BFGS-B"] = "L-BFGS-B",
    ) -> tuple[np.ndarray, np.ndarray]:
        """As pydeseq2's `Inference.alpha_mle`: dispersions, and that every gene converged."""
        counts, design, mu = (np.asarray(values, float) for values in (counts, design_matrix, mu))
        start = np.log(np.asarray(alpha_hat, float))

        def loss(log_alpha: np.ndarray) -> np.ndarray:
            value = likelihood(counts, mu, np.exp(log_alpha))
            if cr_reg:
                value += 0.5 * cox_reid(design, mu, np.exp(log_alpha))
            if prior_reg and prior_disp_var is not None:
                value += (log_alpha - start) ** 2 / (2 * prior_disp_var)
            return value

        best = np.exp(minimise(loss, np.log(min_disp), np.log(max_disp), genes=counts.shape[1]))
        return best, np.ones(counts.shape[1], bool)

    def irls(
        self,
        counts: np.ndarray,
        size_factors: np.ndarray,
        design_matrix: np.ndarray,
        disp: np.ndarray,
        min_mu: float,
        beta_tol: float,
        min_beta: float = -30,
        max_beta: float = 30,
        optimizer: Literal["BFGS", "L-BFGS-B"] = "L-BFGS-B",
        maxiter: int = 250,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """As pydeseq2's `Inference.irls`: coefficients, means, hat diagonals, and whether each gene converged.

        Genes that run away or do not settle are fitted by pydeseq2 itself.
        """
        counts, X, disp = (np.asarray(values, float) for values in (counts, design_matrix, disp))
        size, ridge = np.asarray(size_factors, float)[:, None], 1e-6 * np.eye(X.shape[1])
        beta = np.linalg.lstsq(X, np.log(counts / size + 0.1), rcond=None)[0]
        mu = np.maximum(size * np.exp(X @ beta), min_mu)
        deviance, settled = np.full(counts.shape[1], 1000.0), np.zeros(counts.shape[1], bool)
        left = np.arange(counts.shape[1])
        for _ in range(min(ROUNDS, maxiter - 1)):
            x, m, alpha = counts[:, left], mu[:, left], disp[left]
            weight = m / (1 + m * alpha)
            right = (weight * (np.log(m / size) + (x - m) / m)).T @ X
            fitted = np.linalg.solve(_information(weight, X) + ridge, right[..., None])[..., 0].T
            tame = (np.abs(fitted) <= max_beta).all(axis=0)
            left, x, alpha, fitted = left[tame], x[:, tame], alpha[tame], fitted[:, tame]
            beta[:, left], mu[:, left] = fitted, np.maximum(size * np.exp(X @ fitted), min_mu)
            before, deviance[left] = deviance[left], -2 * nb_nll(x, mu[:, left], alpha)
            moving = np.abs(deviance[left] - before) / (np.abs(deviance[left]) + 0.1) > beta_tol
            settled[left[~moving]] = True
            left = left[moving]
            if not len(left):
                break
        weight = mu / (1 + mu * disp)
        hat = weight * np.einsum("ni,gij,nj->ng", X, np.linalg.inv(_information(weight, X) + ridge), X)
        mu, converged = size * np.exp(X @ beta), np.ones(counts.shape[1], bool)
        if (rest := np.flatnonzero(~settled)).size:
            limits = (min_mu, beta_tol, min_beta, max_beta, optimizer, maxiter)
            beta_, mu[:, rest], hat[:, rest], converged[rest] = super().irls(
                counts[:, rest], size_factors, X, disp[rest], *limits
            )
            beta[:, rest] = beta_.T
        return beta.T, mu, hat, converged

    def wald_test(
        self,
        design_matrix: np.ndarray,
        disp: np.ndarray,
        lfc: np.ndarray,
        mu: np.ndarray,
        ridge_factor: np.ndarray,
        contrast: np.ndarray,
        lfc_null: np.ndarray,
        alt_hypothesis: Literal["greaterAbs", "lessAbs", "greater", "less"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As pydeseq2's `Inference.wald_test`: p, statistics, standard errors; one-sided tests are left to it."""
        if alt_hypothesis is not None:
            rest = design_matrix, disp, lfc, mu, ridge_factor, contrast, lfc_null, alt_hypothesis
            return super().wald_test(*rest)
        information = _information(mu / (1 + mu * disp), np.asarray(design_matrix, float))
        variance = np.linalg.inv(information + ridge_factor) @ contrast
        error = np.sqrt(np.einsum("gi,gij,gj->g", variance, information, variance))
        stat = (lfc - lfc_null) @ contrast / error
        return 2 * ndtr(-np.abs(stat)), stat, error


def _information(weight: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Xᵀ W X of each gene, W the weights of its column; genes × coefficients × coefficients."""
    n, k = X.shape
    return (weight.T @ (X[:, :, None] * X[:, None, :]).reshape(n, k * k)).reshape(-1, k, k)


def likelihood(counts: np.ndarray, mu: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each gene (column) at its dispersion, without terms free of it."""
    size = 1 / alpha
    terms = gammaln(size) - gammaln(counts + size) + (counts + size) * np.log1p(alpha * mu) - counts * np.log(alpha)
    return terms.sum(axis=0)


def cox_reid(design: np.ndarray, mu: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Log determinant of Xᵀ W X of each gene, W = mu / (1 + alpha mu)."""
    return np.linalg.slogdet(_information(mu / (1 + alpha * mu), design))[1]


def minimise(loss: Any, low: float, high: float, *, genes: int) -> np.ndarray:
    """Argument in [low, high] at which each gene's loss is least."""
    grid = np.linspace(low, high, GRID)
    values = np.array([loss(np.full(genes, point)) for point in grid])
    at = values.argmin(axis=0)
    a, b = grid[np.maximum(at - 1, 0)], grid[np.minimum(at + 1, GRID - 1)]
    c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    loss_c, loss_d = loss(c), loss(d)
    for _ in range(STEPS):
        left = loss_c < loss_d
        a, b = np.where(left, a, c), np.where(left, d, b)
        c, d = np.where(left, b - GOLDEN * (b - a), d), np.where(left, c, a + GOLDEN * (b - a))
        fresh = loss(np.where(left, c, d))
        loss_c, loss_d = np.where(left, fresh, loss_d), np.where(left, loss_c, fresh)
    return (a + b) / 2
