"""Counts less the ambient RNA of their sample, as SoupX subtracts it by cluster.

All cells of a type together lose the sample's ambient share of their counts, spread over genes as the ambient profile
has them, and no gene more than the type shows (`adjustCounts(method = "subtraction")` of SoupX, Young and Behjati 2020,
doi 10.1093/gigascience/giaa151); every cell of the type keeps the same part of a gene. A cell alone cannot tell its one
ambient count from its own. Droplets of public series are rarely kept empty: the sample's mean stands for its ambient
profile, and its share is that of the method `ambient`. Libraries for this need empty droplets or a neural network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import Uns
from brainmet.core.counts import Counts


@dataclass(frozen=True)
class Correction:
    """What is left of one sample's counts.

    Attributes:
        share: ambient share of the sample's counts, 0 where none is known or the values are no counts.
        group: code of each cell's type, in the order of the kept cells.
        left: types × genes, part of the counts that stays.
    """

    share: float
    group: np.ndarray
    left: np.ndarray

    def apply(self, block: sp.csr_matrix, start: int) -> sp.csr_matrix:
        """A block of kept cells from position `start` on, less its ambient counts; zeros stay where counts were."""
        group = np.repeat(self.group[start : start + block.shape[0]], np.diff(block.indptr))
        return sp.csr_matrix((block.data * self.left[group, block.indices], block.indices, block.indptr), block.shape)

    def moved(self, position: np.ndarray, n_genes: int) -> "Correction":
        """The same for a matrix of `n_genes`, the sample's genes at the given columns."""
        spread = np.ones((len(self.left), n_genes))
        spread[:, position] = self.left
        return replace(self, left=spread)


def correction(counts: Counts, keep: np.ndarray, cell_types: np.ndarray, *, share: float) -> Correction:
    """What is to be taken from a sample's cells.

    Args:
        counts: the sample; read once.
        keep: by cell of the sample, whether it is in the atlas.
        cell_types: of the cells in the atlas.
        share: ambient share of the sample, NaN where it is not known.
    """
    known = bool(np.isfinite(share)) and counts.uns.get(Uns.VALUES, "counts") != "log"
    group, names = pd.factorize(cell_types, sort=True)
    sums, start = np.zeros((max(len(names), 1), len(counts.genes))), 0
    for block in counts.chunks(keep) if known else ():
        types = group[start : start + block.shape[0]]
        start += block.shape[0]
        member = sp.csr_matrix((np.ones(len(types)), (types, np.arange(len(types)))), shape=(len(sums), len(types)))
        sums += (member @ block).toarray()
    return Correction(share if known else 0.0, group, left(sums, share=share if known else 0.0))


def left(sums: np.ndarray, *, share: float) -> np.ndarray:
    """Part of each type's counts of each gene that is not ambient; types × genes.

    Args:
        sums: counts, types × genes; all of them together are the ambient profile.
        share: of each type's counts that is ambient.
    """
    profile = sums.sum(axis=0) / max(sums.sum(), 1.0)
    taken = np.array([poured(row, profile, share * row.sum()) for row in sums])
    return np.where(sums > 0, 1 - taken / np.where(sums > 0, sums, 1.0), 1.0)


def poured(limits: np.ndarray, weights: np.ndarray, total: float) -> np.ndarray:
    """A total spread over buckets by weight, none above its limit: what is too much goes to the others by weight."""
    usable = np.flatnonzero((weights > 0) & (limits > 0))
    limit, weight = limits[usable], weights[usable]
    level = limit / weight
    order = np.argsort(level, kind="stable")
    filled = np.concatenate([[0.0], np.cumsum(limit[order])])
    open_weight = np.cumsum(weight[order][::-1])[::-1]
    # What has been poured when a bucket is just full: all buckets before it, and the others up to its level.
    at_level = filled[:-1] + level[order] * open_weight
    first = int(np.searchsorted(at_level, total))
    reached = np.inf if first == len(order) else (total - filled[first]) / open_weight[first]
    result = np.zeros(len(limits))
    result[usable] = np.minimum(limit, weight * reached)
    return result


def shares(evidence: pd.DataFrame, samples: pd.Series) -> Mapping[str, float]:
    """Ambient share by sample, from the evidence of the method `ambient` and the sample of each cell."""
    by_cell = evidence["sample_ambient_share"].reindex(samples.index)
    return dict(by_cell.groupby(samples.to_numpy(), sort=True).first())
