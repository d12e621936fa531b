"""What a cell shows itself against what profiles and neighbours make of it.

A type too rare to be learned has no profile, and its cells are taken for the learned type they are least unlike: a few
B cells among T cells, with full confidence. The cell's own markers tell: none of the called class stands above what
floats in the sample, and those of another do. A cell that shows two classes is right less often than its votes say: it
may be two cells.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainmet.annotate.marker_scores import clearly, shown, usual
from brainmet.knowledge.cell_types import CellTypes

AROUND_LEAD = 0.3
"""Lead in marker score, over the cell and its neighbours, from which on these show another class than the called."""


def own_scores(markers: pd.DataFrame, names: Sequence[str], types: CellTypes, *, rare_score: float) -> np.ndarray:
    """Marker score of each type in the cell alone; -inf without a measured marker, and for rare types that it does not
    show clearly: they are called only where they stand out."""
    alone = np.nan_to_num(shown(markers, names, types), nan=-np.inf)
    rare = np.array([types[name].decide == "clear" for name in names])
    return np.where(rare[None, :] & ~clearly(alone, score=rare_score), -np.inf, alone)


def heeded(
    votes: np.ndarray,
    alone: np.ndarray,
    around: np.ndarray,
    classes: np.ndarray,
    *,
    none_shown: float,
    own_steepness: float,
) -> np.ndarray:
    """The votes, where the called class shows none of its markers partly given to the type whose markers lead.

    The class keeps `exp(-own_steepness * (lead - none_shown))` of its probability.

    Args:
        votes: cells × types, rows summing to one.
        alone: cells × types, of `own_scores`.
        around: the same over each cell and its neighbours.
        classes: of the types, of `told_apart`.
        none_shown: score up to which a cell shows no markers of a class; also the lead that says nothing yet.
        own_steepness: how fast the call fades, per unit of marker score by which the other type leads it.

    Returns:
        cells × types, rows summing to one.
    """
    best = votes.argmax(axis=1)
    same = classes[None, :] == classes[best][:, None]
    level = np.maximum(np.where(same, around, -np.inf).max(axis=1), 0)[:, None]
    # What a class usually shows says nothing against it, unless no neighbour shows the class either.
    telling = same | (alone > usual(alone, classes[best])) | ((level <= none_shown) & (around - level >= AROUND_LEAD))
    score, other, rival = _rivals(np.where(telling, alone, -np.inf), classes, best)
    # Less than what floats is no more than nothing.
    lead = rival - np.maximum(score, 0)
    doubted = np.isfinite(score) & (score <= none_shown) & (lead > none_shown)
    kept = np.exp(-own_steepness * np.where(doubted, lead - none_shown, 0))
    result = np.where(same, votes * kept[:, None], votes)
    result[np.arange(len(votes)), other] += 1 - result.sum(axis=1)
    return result


def second_identity(alone: np.ndarray, classes: np.ndarray, best: np.ndarray, *, score: float) -> np.ndarray:
    """Column of the type of another class than the best one's that a cell shows most, -1 where it is below `score`."""
    _, other, rival = _rivals(alone, classes, best)
    return np.where(rival >= score, other, -1)


def _rivals(alone: np.ndarray, classes: np.ndarray, best: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best score of each cell's called class; column and score of the best type of all other classes."""
    called = classes[None, :] == classes[best][:, None]
    others = np.where(called, -np.inf, alone)
    other = others.argmax(axis=1)
    return np.where(called, alone, -np.inf).max(axis=1), other, others[np.arange(len(alone)), other]
