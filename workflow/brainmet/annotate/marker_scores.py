"""Marker scores of each type, and what they tell of a cell: what it clearly shows, what its class usually shows, and
where cells of a type lie together among those of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from brainmet.annotate import SCORE
from brainmet.annotate.context import blended
from brainmet.contract import UNKNOWN
from brainmet.core.robust import mad_sd
from brainmet.knowledge.cell_types import CellTypes

NO_SCORE = -9.0
"""Stands for the score of a type without a measured marker: nine log units below what floats in the sample."""
STEEPNESS = 3.0
"""Of probabilities that are made of marker scores alone: a lead of one log unit gives odds of twenty."""
UNUSUAL = 3.0
"""Robust standard deviations from which on a score is none that cells of a class usually have."""

ALONE_LEAD = 0.5
"""Lead over all other types, and over nothing, from which on a rare type stands out with less than its score."""


@dataclass(frozen=True)
class Islands:
    """Where cells that stand out by a type's markers lie together; cells × types, bool.

    Attributes:
        within: cells that stand out, among others that do.
        near: cells that stand out, or lie among such.
    """

    within: np.ndarray
    near: np.ndarray

    def take(self, rows: np.ndarray) -> "Islands":
        """Those of some cells."""
        return Islands(self.within[rows], self.near[rows])


def scored(markers: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of the types that the evidence of the method `markers` holds a score of."""
    return [name for name in names if SCORE + name in markers]


def scores_of(markers: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Marker score of each type's own set, cells × types, float64; `NO_SCORE` where none of the set is measured."""
    return np.nan_to_num(markers[[SCORE + name for name in names]].to_numpy(np.float64), nan=NO_SCORE)


def shown(markers: pd.DataFrame, names: Sequence[str], types: CellTypes) -> np.ndarray:
    """Marker score of each type: of its own set, or the best of the types inside it.

    A microglia shows the markers of microglia, not all of those that myeloid cells share.
    """
    columns = []
    for name in names:
        inside = [t for t in scored(markers, types.children(name, level="type")) if t not in names]
        columns.append(markers[[SCORE + t for t in (name, *inside)]].max(axis=1))
    return np.column_stack(columns).astype(np.float64)


def told_apart(names: Sequence[str], types: CellTypes) -> np.ndarray:
    """Class of each type: types that agreement does not tell apart, as pericyte and smooth muscle, do not contradict
    each other."""
    return np.array([name if types.coarse(name) == UNKNOWN else types.coarse(name) for name in names], dtype=object)


def usual(alone: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Score up to which each type is nothing unusual in the cells of each cell's called class.

    What floats unevenly, or what classes share, many cells of a class show: it says nothing against the call.
    """
    limits, finite = np.zeros_like(alone), np.where(np.isfinite(alone), alone, 0)
    for name in dict.fromkeys(called):
        rows = called == name
        limits[rows] = np.median(finite[rows], axis=0) + UNUSUAL * mad_sd(finite[rows], axis=0)
    return limits


def clearly(alone: np.ndarray, *, score: float) -> np.ndarray:
    """Cells × types: where a cell shows a type's markers clearly, by their score or as the only ones it shows."""
    scores = np.nan_to_num(alone, nan=-np.inf)
    ranked = np.sort(np.column_stack([scores, np.zeros((len(scores), 2))]), axis=1)
    first, second = ranked[:, -1:], ranked[:, -2:-1]
    return (scores >= score) | (scores - np.where(scores == first, second, first) >= ALONE_LEAD)


def yielding(scores: np.ndarray, names: Sequence[str], types: CellTypes, *, score: float) -> np.ndarray:
    """Cells × types: where a type that shares a type's markers is shown, so that these say nothing.

    Gliomas carry the granules of neuroendocrine cells, which carry nothing of glia.

    Args:
        scores: cells × types, marker scores.
        names: of the types.
        types: the resource.
        score: from which on a type is shown.
    """
    result = np.zeros(scores.shape, bool)
    for column, name in enumerate(names):
        others = [names.index(other) for other in types[name].yields_to if other in names]
        if others:
            result[:, column] = (np.nan_to_num(scores[:, others], nan=-np.inf) >= score).any(axis=1)
    return result


def islands(
    alone: np.ndarray, called: np.ndarray, samples: np.ndarray, neighbors: np.ndarray, *, score: float, chance: float
) -> Islands:
    """Cells that stand out in their class by another type's markers, more of them side by side than chance has it.

    A type with few cells may have none whose neighbours agree: each is taken for what it lies among. Strays of what
    floats stand out alone; cells of a type have each other for neighbours.

    Args:
        alone: cells × types, marker scores of the cell alone; -inf where a type is no candidate.
        called: class that each cell is taken for at first.
        samples: of each cell.
        neighbors: rows of each cell's nearest cells, -1 for none.
        score: that a cell needs to stand out.
        chance: probability (binomial) of as many such neighbours, from which on they lie together.
    """
    out, expected = np.zeros(alone.shape, bool), np.zeros(alone.shape)
    for name in dict.fromkeys(samples):
        rows = samples == name
        out[rows] = (alone[rows] >= score) & (alone[rows] > usual(alone[rows], called[rows]))
        expected[rows] = out[rows].mean(axis=0)
    number = (neighbors >= 0).sum(axis=1)[:, None]
    alike = np.round(blended(out.astype(np.float64), neighbors, share=1.0) * number) if neighbors.size else 0 * expected
    among = bdtrc(alike - 1, number, expected) < chance
    return Islands(out & among, out | among)
