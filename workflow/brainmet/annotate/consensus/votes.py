"""How likely each cell is of each broad type: the votes of all methods, its neighbours' and what it shows itself."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from brainmet.annotate import VOTE
from brainmet.annotate.consensus.own_markers import heeded, own_scores
from brainmet.annotate.context import blended
from brainmet.annotate.marker_scores import STEEPNESS, scored, scores_of, told_apart
from brainmet.conditions import ids
from brainmet.contract import UNKNOWN
from brainmet.knowledge.cell_types import CellTypes, Named

log = logging.getLogger(__name__)

AROUND = 0.5
"""Share of the neighbours in what a cell and its neighbours show: as much as the cell itself."""
FLOOR = 1e-6
"""Least probability: no vote alone rules a type out for good."""


@dataclass(frozen=True)
class Votes:
    """Probabilities of the candidates.

    Attributes:
        names: types that are candidates.
        share: cells × candidates, rows summing to one.
        alone: cells × candidates, marker score of the cell alone; -inf where its sample rules the type out.
        classes: of each candidate, what it stands for beside others: those of one class do not contradict each other.
    """

    names: list[str]
    share: np.ndarray
    alone: np.ndarray
    classes: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """Column of the likeliest candidate of each cell."""
        return np.asarray(self.share.argmax(axis=1))


def weighed(
    evidence: Mapping[str, pd.DataFrame],
    condition: pd.Series,
    neighbors: np.ndarray,
    types: CellTypes,
    *,
    vote_weight: float,
    neighbour_share: float,
    none_shown: float,
    own_steepness: float,
    rare_score: float,
) -> Votes:
    """The votes of all methods on every cell, less what its sample or its own markers speak against.

    Args:
        evidence: tables of the methods by name; `markers` is needed.
        condition: of each cell's sample.
        neighbors: rows of each cell's nearest cells, -1 for none.
        types: the resource.
        vote_weight: weight of each further method's votes beside the first.
        neighbour_share: share of the probabilities that comes from the neighbours.
        none_shown, own_steepness, rare_score: see `brainmet.annotate.consensus.own_markers`.
    """
    names, share = _joint(evidence, types, weight=vote_weight)
    if neighbour_share:
        share = np.exp(blended(np.log(np.maximum(share, FLOOR)), neighbors, share=neighbour_share))
    share /= share.sum(axis=1, keepdims=True)
    classes, impossible = told_apart(names, types), _impossible(names, types, condition)
    share = _without(share, impossible)
    alone = np.where(impossible, -np.inf, own_scores(evidence["markers"], names, types, rare_score=rare_score))
    around = blended(np.maximum(alone, -1), neighbors, share=AROUND)
    share = heeded(share, alone, around, classes, none_shown=none_shown, own_steepness=own_steepness)
    return Votes(names, share, alone, classes)


def together(share: np.ndarray, groups: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Probability of the group that the best candidate is in.

    Args:
        share: cells × candidates.
        groups: of the candidates; each that is `unknown` stands alone.
        best: column of each cell's best candidate.
    """
    total = np.zeros(len(share))
    for column in range(share.shape[1]):
        same = groups[best] == groups[column] if groups[column] != UNKNOWN else best == column
        total += np.where(same, share[:, column], 0)
    return np.clip(total, 0, 1)


def _joint(evidence: Mapping[str, pd.DataFrame], types: CellTypes, *, weight: float) -> tuple[list[str], np.ndarray]:
    """Candidates and their joint probabilities over the methods that vote; of the markers if none does.

    The method that knows most candidates comes first, of equals the one listed first: the first one's votes rule out
    the types that it does not know.
    """
    names = scored(evidence["markers"], types.decided("broad", "clear"))
    columns = [VOTE + name for name in names]
    known = {method: np.array([column in table for column in columns]) for method, table in evidence.items()}
    voters = sorted((method for method in evidence if known[method].any()), key=lambda method: -known[method].sum())
    joint: np.ndarray | None = None
    for method in voters:
        votes = evidence[method].reindex(columns=columns).to_numpy(np.float64)
        joint = np.nan_to_num(votes) if joint is None else joined(joint, votes, known[method], weight=weight)
        log.info("votes of %s among %d types", method, known[method].sum())
    if joint is None:
        joint = softmax(STEEPNESS * scores_of(evidence["markers"], names), axis=1)
    return names, joint


def joined(joint: np.ndarray, votes: np.ndarray, known: np.ndarray, *, weight: float) -> np.ndarray:
    """Probabilities after one more method: a weighted geometric mean among the types that it knows.

    The share of these types together stays: a reference of immune cells must not turn tumour cells into them, nor can
    it say anything of a cell to which it gives no votes.
    """
    rows = np.nan_to_num(votes[:, known]).sum(axis=1) > 0
    before = joint[:, known]
    logs = np.log(np.maximum(before, FLOOR)) + weight * np.log(np.maximum(np.nan_to_num(votes[:, known]), FLOOR))
    mixed = softmax(logs / (1 + weight), axis=1) * before.sum(axis=1, keepdims=True)
    result = joint.copy()
    result[:, known] = np.where(rows[:, None], mixed, before)
    return result


def _impossible(names: list[str], types: CellTypes, condition: pd.Series) -> np.ndarray:
    """Cells × types: what a sample's condition rules out. Cells of gliomas show the granules of neuroendocrine ones."""
    epithelial = np.array([types.coarse(name) == Named.EPITHELIAL for name in names])
    return condition.isin(ids(epithelium="none")).to_numpy()[:, None] & epithelial[None, :]


def _without(share: np.ndarray, impossible: np.ndarray) -> np.ndarray:
    """The probabilities of the other types, rows summing to one again."""
    left = np.where(impossible, FLOOR, share)
    return np.asarray(left / left.sum(axis=1, keepdims=True))
