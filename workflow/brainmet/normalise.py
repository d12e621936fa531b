"""The one normalisation: counts per ten thousand, then log(1 + x)."""

import numpy as np
import scipy.sparse as sp

from brainmet.contract import TARGET_SUM


def per_ten_thousand(block: sp.csr_matrix, *, values: str) -> sp.csr_matrix:
    """Each cell scaled to a sum of ten thousand, float64; logged input (`values: log`) is brought back first."""
    scaled = sp.csr_matrix((block.data.astype(np.float64), block.indices, block.indptr), block.shape)
    if values == "log":
        scaled.data = np.expm1(scaled.data)
    totals = np.asarray(scaled.sum(axis=1)).ravel()
    factors = np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals > 0)
    scaled.data *= np.repeat(factors, np.diff(scaled.indptr))
    return scaled


def log_normalised(block: sp.csr_matrix, *, values: str) -> sp.csr_matrix:
    """`log1p` of counts per ten thousand, float64: what scanpy's normalize_total(1e4) and log1p give.

    Args:
        block: cells × genes.
        values: what the matrix holds (`contract.VALUES`).
    """
    result = per_ten_thousand(block, values=values)
    np.log1p(result.data, out=result.data)
    return result
