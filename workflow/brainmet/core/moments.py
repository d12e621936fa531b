"""Moments of each measured gene over some of a sample's cells."""

import numpy as np
import pandas as pd

from brainmet.contract import Uns, Var
from brainmet.core.counts import Counts, by_gene
from brainmet.core.normalise import per_ten_thousand

SUMS = ("detected", "total", "log", "log2", "raw", "raw2")


def gene_sums(counts: Counts, keep: np.ndarray) -> pd.DataFrame:
    """Sums over the cells where `keep` is true, in the order of the genes.

    Those over a part of the cells can be taken away again.

    Returns:
        One float64 row per gene: `detected`, cells with a value above zero; `total`, of the values; `raw`, of the
        values per ten thousand, and `log`, of their log1p, each beside the sum of its squares, `raw2` and `log2`.
    """
    sums = {name: np.zeros(counts.shape[1]) for name in SUMS}
    for block in counts.chunks(keep):
        scaled = per_ten_thousand(block, values=counts.uns[Uns.VALUES]).data
        sums["detected"] += by_gene(block, block.data > 0)
        sums["total"] += by_gene(block, block.data)
        for name, data in (("raw", scaled), ("log", np.log1p(scaled))):
            sums[name] += by_gene(block, data)
            sums[f"{name}2"] += by_gene(block, np.square(data, out=data))
    return pd.DataFrame(sums)


def moments(counts: Counts, keep: np.ndarray, sums: pd.DataFrame | None = None) -> pd.DataFrame:
    """The table moments over the cells where `keep` is true, from their `gene_sums` where these are known."""
    n = int(np.sum(keep))
    sums = gene_sums(counts, keep) if sums is None else sums
    # What others were taken away from may be a rounding error away from zero.
    sums = sums.mask(sums["detected"].eq(0), 0.0)
    variance = {name: (sums[f"{name}2"] - sums[name] ** 2 / n).clip(lower=0) / max(n - 1, 1) for name in ("log", "raw")}
    return pd.DataFrame(
        {
            Var.ENSEMBL: counts.genes.index.to_numpy(),
            Var.SYMBOL: counts.genes[Var.SYMBOL].to_numpy(),
            "n_cells_kept": n,
            "n_cells_detected": sums["detected"].astype(np.int64),
            "sum_counts": sums["total"],
            "mean": sums["log"] / n,
            "var": variance["log"],
            "mean_expm1": sums["raw"] / n,
            "var_expm1": variance["raw"],
        }
    )
