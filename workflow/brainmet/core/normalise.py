"""The one normalisation: counts per ten thousand, then log(1 + x); and how a matrix of logs is brought back."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from brainmet.contract import TARGET_SUM


def linear(block: sp.csr_matrix, *, values: str) -> sp.csr_matrix:
    """The block on a linear scale: logs, which are natural logs of 1 + x, are undone in float64; all else is as it is.

    Args:
        block: cells × genes.
        values: what the matrix holds (`contract.VALUES`).
    """
    if values != "log":
        return block
    return sp.csr_matrix((np.expm1(block.data.astype(np.float64)), block.indices, block.indptr), block.shape)


def per_ten_thousand(
    block: sp.csr_matrix, *, values: str, columns: Sequence[int] | np.ndarray | None = None
) -> sp.csr_matrix:
    """Each cell scaled to a sum of ten thousand over all its genes, float64.

    Args:
        block: cells × genes.
        values: what the matrix holds (`contract.VALUES`); logs are brought back first.
        columns: genes to return, all by default.
    """
    block = linear(block, values=values)
    totals = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
    factors = np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals > 0)
    chosen = block if columns is None else block[:, columns]
    scaled = np.repeat(factors, np.diff(chosen.indptr))
    scaled *= chosen.data
    return sp.csr_matrix((scaled, chosen.indices, chosen.indptr), chosen.shape)


def log_normalised(
    block: sp.csr_matrix, *, values: str, columns: Sequence[int] | np.ndarray | None = None
) -> sp.csr_matrix:
    """`log1p` of counts per ten thousand, float64: what scanpy's normalize_total(1e4) and log1p give.

    Args:
        block: cells × genes.
        values: what the matrix holds (`contract.VALUES`).
        columns: genes to return, all by default.
    """
    result = per_ten_thousand(block, values=values, columns=columns)
    np.log1p(result.data, out=result.data)
    return result
