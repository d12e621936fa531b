"""Whether a group of cells is aneuploid: its chromosome arms against those of normal cells.

An arm is tested over its genes. Lineages have programmes, and these move arms too: how far the arms of one normal
lineage lie from those of the others is the unit that a group's arms are measured in.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from brainmet.copy_number import arm_shift, log_ratio
from brainmet.stats.effects import fdr

HALF = 0.5
"""Slope on a tumour's profile half of the way to it."""
TWO_GROUPS = 0.75
"""Share of the variance that a split into two groups explains where there are two; half of a normal curve against the
other half explains 2 / pi, or 0.64."""
PRIOR_CPM = 20.0
"""Counts per million that a gene's ratio is drawn to zero with: fewer say little of its dosage."""
MAX_T = 6.0
"""Larger t of a normal lineage's arm count as this: one arm with a cluster of a lineage's own genes is no rule."""
LINEAGE_T = 2.0
"""Root mean square t of arms between normal lineages, at least: few cells of a category hide what lineages differ
by."""


@dataclass(frozen=True, kw_only=True)
class ArmLimits:
    """When an arm is changed in a group of cells, and when a group is aneuploid.

    Attributes:
        min_genes: genes that an arm needs to be tested.
        min_t, min_shift: least t statistic and log shift of a changed arm, either way.
        max_fdr: largest false discovery rate over the arms of the group.
        min_arms: changed arms from which on a group is aneuploid.
    """

    min_genes: int
    min_t: float
    min_shift: float
    max_fdr: float
    min_arms: int

    def changed(self, arms: pd.DataFrame) -> pd.Series:
        """Which arms are changed, of a table with `fdr`, `t` and `shift` of each arm."""
        large = (arms["t"].abs() >= self.min_t) & (arms["shift"].abs() >= self.min_shift)
        return (arms["fdr"] <= self.max_fdr) & large


def arm_tests(
    group: np.ndarray, categories: np.ndarray, arm: np.ndarray, *, scale: float, min_genes: int
) -> pd.DataFrame:
    """Arms of a group of cells against all reference cells.

    Args:
        group: counts of the group by gene.
        categories: counts of the reference categories, categories × genes.
        arm: of each gene.
        scale: root mean square t of normal lineages, of `lineage_scale`.
        min_genes: arms with fewer are left out.

    Returns:
        Index arm; `n_genes, shift, t`, and `fdr`, over the arms, of t in units of `scale`.
    """
    difference, weight = log_ratio(group, categories.sum(axis=0, keepdims=True), size=PRIOR_CPM)
    arms = arm_shift(difference, weight, arm, min_genes=min_genes)
    # Where many arms are altered the others must not seem so: the middle arm is the neutral one.
    arms["shift"] -= arms["shift"].median() if len(arms) else 0.0
    arms["fdr"] = fdr(2 * ndtr(-arms["t"].abs().to_numpy() / scale))
    return arms


def lineage_scale(categories: np.ndarray, arm: np.ndarray, *, min_genes: int) -> float:
    """Root mean square t of the arms of each normal category against the others, at least `LINEAGE_T`."""
    if len(categories) < 2:
        return LINEAGE_T
    others = [np.delete(categories, i, axis=0) for i in range(len(categories))]
    tables = [
        arm_tests(category, rest, arm, scale=1.0, min_genes=min_genes)
        for category, rest in zip(categories, others, strict=True)
    ]
    t = np.clip(np.concatenate([table["t"].to_numpy() for table in tables]), -MAX_T, MAX_T)
    return max(LINEAGE_T, float(np.sqrt((t**2).mean()))) if len(t) else LINEAGE_T


def border(slope: np.ndarray) -> float:
    """A border between two groups of slopes (Otsu); minus infinity where they are one group around 1."""
    ordered = np.sort(slope)
    n = len(ordered)
    if n < 10:
        return -np.inf
    left = np.cumsum(ordered)[:-1] / np.arange(1, n)
    right = (ordered.sum() - np.cumsum(ordered)[:-1]) / np.arange(n - 1, 0, -1)
    share = np.arange(1, n) / n
    between = share * (1 - share) * (right - left) ** 2
    cut = int(between.argmax())
    return float(ordered[cut]) if between[cut] > TWO_GROUPS * ordered.var() and left[cut] < HALF else -np.inf
