"""What claims measure beside the expression of genes: one value per donor from tables that other stages made.

Each function gives values indexed by study, donor, condition and platform; what a donor lacks is left out.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmet.compare.donors import PLATFORM, platforms
from brainmet.contract import Obs, Var
from brainmet.pseudobulk import DETECTED, Pseudobulk

WHO = [Obs.STUDY, Obs.DONOR, Obs.CONDITION, PLATFORM]


def correlation(table: pd.DataFrame, claim: str, *, against_random: bool) -> pd.Series:
    """Fisher z of a claim's correlation in each donor, less that of random pairs where asked."""
    rows = table[(table["claim"] == claim) & table["z"].notna()].set_index(WHO)
    return rows["z"] - rows["z_random"] if against_random else rows["z"]


def crosstalk_lead(table: pd.DataFrame, above: Sequence[str], below: Sequence[str]) -> pd.Series:
    """By how much the least of some axes ranks above the best of others: shares of random pairs of the same
    expression that an axis beats (1 less its p), −1 to 1."""
    ranks = 1 - _axes(table, [*above, *below], "p")
    return (ranks[list(above)].min(axis=1, skipna=False) - ranks[list(below)].max(axis=1, skipna=False)).dropna()


def crosstalk_rank(table: pd.DataFrame, axes: Sequence[str]) -> pd.Series:
    """Median consensus rank of magnitude of some axes among all pairs of the resource; small is strong."""
    return _axes(table, axes, "magnitude_rank").median(axis=1).dropna()


def _axes(table: pd.DataFrame, axes: Sequence[str], column: str) -> pd.DataFrame:
    """Donors × axes; samples of a donor are averaged."""
    rows = table[table["axis"].isin(list(axes)) & table[column].notna()]
    wide = rows.pivot_table(index=WHO, columns="axis", values=column, aggfunc="mean")
    return wide.reindex(columns=list(axes))


def detected(bulk: Pseudobulk, types: Collection[str], gene: str, *, min_cells: int) -> pd.Series:
    """Share of a donor's cells of some types with a count of a gene, half a cell added on either side; those with fewer
    cells are left out."""
    column = np.flatnonzero(bulk.var[Var.SYMBOL].to_numpy() == gene)
    if not len(column) or DETECTED not in bulk.layers:
        return pd.Series(dtype=float)
    rows = np.flatnonzero(bulk.obs[Obs.CELL_TYPE].isin(list(types)).to_numpy())
    obs = bulk.obs.iloc[rows]
    cells = obs.assign(**{PLATFORM: platforms(obs), "seen": np.asarray(bulk.layers[DETECTED][rows, column[0]], float)})
    cells = cells[[*WHO, Obs.N_CELLS, "seen"]]
    sums = cells.dropna().groupby(WHO, sort=True)[[Obs.N_CELLS, "seen"]].sum()
    sums = sums[sums[Obs.N_CELLS] >= min_cells]
    return (sums["seen"] + 0.5) / (sums[Obs.N_CELLS] + 1)


def log_odds(share: Any) -> Any:
    """Log2 odds of a share, kept a thousandth from 0 and 1."""
    kept = np.clip(share, 0.001, 0.999)
    return np.log2(kept / (1 - kept))


def similarity(scores: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Fisher z of the rank correlation over signatures of each donor's scores with the mean of the others.

    Args:
        scores: donors × signatures.
        others: profiles × the same signatures of the tissue compared with.
    """
    target = others.mean()
    rho = scores.T.corrwith(target, method="spearman")
    return np.arctanh(rho.clip(-0.999, 0.999))
