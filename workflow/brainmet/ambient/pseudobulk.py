"""Ambient RNA in pseudobulk: what the other cell types of a sample can explain of a type's counts.

Droplets of public series are rarely kept empty, so the soup cannot be seen; its sources can. For each other type of
the sample, the genes that it alone is rich in tell how much of its RNA the profile at hand carries: the profile's
share over the source's share, of which a quantile below the median is taken, as genes that the profile expresses
itself lie above. The expected ambient counts are the sources times these fractions. A source whose own genes the
profile carries at more than `max_share` is kin (microglia and macrophages), not soup, and is left out.

The idea of bounding ambient RNA by genes that a cell should not express: Young & Behjati 2020 GigaScience 9:giaa151
(SoupX); Lun's DropletUtils, `ambientContribMaximum`. Here the bound is set for each source apart, as tissue and tumour
soup differ.
"""

from dataclasses import dataclass

import numpy as np

from brainmet.contract import UNKNOWN, Obs
from brainmet.pseudobulk import Pseudobulk


@dataclass(frozen=True)
class Ambience:
    """How ambient RNA is bounded; see `config: compare.ambient`."""

    genes: int
    min_fold: float
    min_share: float
    min_cells: int
    max_share: float
    quantile: float


def expected(bulk: Pseudobulk, *, how: Ambience) -> np.ndarray:
    """Counts of each profile that the other types of its sample can explain; shape of `bulk.X`, never more than the
    counts.

    Args:
        bulk: the cohort's pseudobulk.
        how: limits.
    """
    counts = np.nan_to_num(np.asarray(bulk.X, float))
    ambient = np.zeros_like(counts)
    types, cells = bulk.obs[Obs.CELL_TYPE].astype(str).to_numpy(), bulk.obs[Obs.N_CELLS].to_numpy()
    # Donors pooled in one run (hashed samples) share one soup: the sample is the unit, not the donor.
    for rows in bulk.obs.reset_index(drop=True).groupby(Obs.SAMPLE, sort=True).groups.values():
        rows = np.asarray(rows)
        names = sorted({types[row] for row in rows if types[row] != UNKNOWN})
        if len(names) < 2:
            continue
        of_type = [rows[types[rows] == name] for name in names]
        sums = np.array([counts[members].sum(axis=0) for members in of_type])
        enough = np.array([cells[members].sum() >= how.min_cells for members in of_type])
        shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1.0)
        for target, members in enumerate(of_type):
            sources = [k for k in range(len(names)) if k != target and enough[k]]
            soup = _soup(shares, target, sources, how=how)
            ambient[members] = np.minimum(counts[members], counts[members].sum(axis=1, keepdims=True) * soup)
    return ambient


def _soup(shares: np.ndarray, target: int, sources: list[int], *, how: Ambience) -> np.ndarray:
    """Share of each gene in the target's profile that its sources bring."""
    soup = np.zeros(shares.shape[1])
    for source in sources:
        genes = np.flatnonzero(shares[source] > how.min_share)
        others = np.array([k for k in sources if k != source], int)
        next_best = shares[np.ix_(others, genes)].max(axis=0, initial=0.0)
        genes = genes[shares[source][genes] > how.min_fold * next_best]
        genes = genes[np.argsort(-shares[source][genes], kind="stable")][: how.genes]
        if len(genes) < 5:
            continue
        fraction = float(np.quantile(shares[target][genes] / shares[source][genes], how.quantile))
        if fraction <= how.max_share:
            soup += fraction * shares[source]
    return soup


def cleaned(bulk: Pseudobulk, ambient: np.ndarray) -> Pseudobulk:
    """The pseudobulk less the ambient counts; unmeasured genes stay NaN."""
    left = np.asarray(bulk.X, float) - ambient
    return Pseudobulk(left, bulk.obs.assign(total_counts=np.nansum(left, axis=1)), bulk.var, bulk.layers)
