"""One identity a cell from the evidence of all methods.

First the broad type, among few well separated candidates, by the votes of the methods; then the type inside it, by
marker scores averaged over neighbours; then state and malignancy. Where evidence is weak the parent or `unknown`
stands.
"""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import softmax

from brainmet.annotate import NOTE, SCORE, VOTE, WITHIN
from brainmet.annotate._own import told_apart
from brainmet.annotate.context import blended, positions
from brainmet.cell_types import CellTypes
from brainmet.contract import MALIGNANT_TIERS, UNKNOWN, Obs
from brainmet.contradiction import heeded, own_scores, second_identity
from brainmet.malignancy import malignancy
from brainmet.overrides import override
from brainmet.reasons import reasons
from brainmet.refinement import in_brain, normal_epithelium, origin, states, subtypes, tumour_type, within

log = logging.getLogger(__name__)

CELL_COLUMNS = (Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE)
NO_EPITHELIUM = ("glioma", "normal_brain")
"""Conditions whose samples hold no epithelial cells."""


def consensus(
    cells: pd.DataFrame,
    clusters: pd.Series,
    neighbors: np.ndarray,
    evidence: Mapping[str, pd.DataFrame],
    *,
    types: CellTypes,
    min_confidence: float,
    min_marker_score: float,
    vote_weight: float,
    neighbour_share: float,
    none_shown: float,
    own_steepness: float,
    rare_score: float,
    second_score: float,
    second_trust: float,
    within_margin: float,
    state_margin: float,
    origin_score: float,
    brain_share: float,
    positive_slope: float,
    positive_z: float,
    line_share: float,
    breast_score: float,
    sites: Mapping[str, str] | None = None,
    overrides: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The annotation of the cohort.

    Args:
        cells: kept cells with `dataset, study, sample, donor, condition, author_label, author_cell_type`.
        clusters: cluster of each cell.
        neighbors: indices of each cell's nearest cells in the cohort; those of the method `context` go before them.
        evidence: tables of the methods by name, all in the order of `cells`; `markers` is needed.
        types: the resource.
        min_confidence: probability of the broad type below which its lineage, or `unknown`, stands.
        min_marker_score: marker score of the called type, over neighbours, below which the cell is unknown.
        vote_weight: weight of each further method's votes beside the first.
        neighbour_share: share of the probabilities that comes from the neighbours.
        none_shown, own_steepness, rare_score: see `brainmet.contradiction`.
        second_score: marker score of another class in the cell itself from which on it shows two identities.
        second_trust: what its confidence is multiplied by then.
        within_margin: lead in marker score that a type inside a broad type needs over its siblings.
        state_margin: the same for states, and the score a state needs.
        origin_score, breast_score: see `brainmet.refinement.origin`.
        brain_share: share of neuroglia from which on a sample is taken for brain if its condition leaves it open.
        positive_slope, positive_z, line_share: see `brainmet.malignancy`.
        sites: declared primary site of the tumour, by sample.
        overrides: optional `level` (cluster or cell), `id`, `cell_type`: what an expert knows better.

    Returns:
        The columns of `annotation.parquet`.
    """
    markers = evidence["markers"]
    if "context" in evidence:
        neighbors = positions(evidence["context"])
    names, votes = _votes(evidence, types, weight=vote_weight)
    votes = (
        np.exp(blended(np.log(np.maximum(votes, 1e-6)), neighbors, share=neighbour_share)) if neighbour_share else votes
    )
    votes /= votes.sum(axis=1, keepdims=True)
    own, apart = own_scores(markers, names, types, rare_score=rare_score), told_apart(names, types)
    impossible = _impossible(names, types, cells[Obs.CONDITION])
    votes, own = _without(votes, impossible), np.where(impossible, -np.inf, own)
    around = blended(np.maximum(own, -1), neighbors, share=0.5)
    votes = heeded(votes, own, around, apart, none_shown=none_shown, own_steepness=own_steepness)
    smooth = pd.DataFrame(
        blended(markers.drop(columns=NOTE).to_numpy(np.float32), neighbors, share=0.7),
        index=cells.index,
        columns=[column.removeprefix(SCORE) for column in markers.columns if column != NOTE],
    )
    smooth = smooth.assign(**{name.removeprefix(WITHIN): smooth[name] for name in smooth if name.startswith(WITHIN)})
    best = votes.argmax(axis=1)
    coarse = np.array([types.coarse(name) for name in names], dtype=object)
    lineages = np.array([types.lineage(name) for name in names], dtype=object)
    # Types of one class share its probability: pericyte against smooth muscle is no doubt about mural.
    confidence = _shared(votes, coarse, best)
    broad = np.array(names, dtype=object)[best]
    shown = smooth[names].to_numpy()[np.arange(len(best)), best]
    weak = (confidence < min_confidence) | ~(shown >= min_marker_score)
    sure_lineage = _shared(votes, lineages, best) >= max(min_confidence, 0.5)
    called = np.where(weak, np.where(sure_lineage & (shown >= min_marker_score), lineages[best], UNKNOWN), broad)

    frame = cells[[*CELL_COLUMNS]].copy()
    frame[Obs.LINEAGE] = [types.lineage(name) for name in called]
    frame["broad"], frame["identity"] = called, confidence
    cnv = evidence.get("copy_number")
    for name in ("cnv_slope", "cnv_z", "cnv_aneuploid", "n_reference"):
        frame[name] = cnv[name].to_numpy() if cnv is not None else np.nan
    frame["cnv_note"] = cnv[NOTE].to_numpy() if cnv is not None else "not run"
    tumour = malignancy(frame, positive_slope=positive_slope, positive_z=positive_z, line_share=line_share)
    malignant = tumour[Obs.MALIGNANCY].isin(MALIGNANT_TIERS).to_numpy()

    # Macrophages elsewhere share C1QA, TREM2 and GPR34 with microglia, MRC1 and LYVE1 with those at its borders.
    only_there = [entry.id for entry in types.entries.values() if entry.tissue == "brain" and entry.id in smooth]
    smooth.loc[~in_brain(frame, share=brain_share), only_there] = -np.inf
    cell_type = within(called, smooth, types, margin=within_margin)
    cell_type = tumour_type(cell_type, frame, malignant)
    cell_type = normal_epithelium(cell_type, frame, tumour[Obs.MALIGNANCY].to_numpy(), smooth, types, within_margin)
    result = frame[[Obs.DATASET, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION]].copy()
    result[Obs.CLUSTER] = clusters.to_numpy()
    result[Obs.LINEAGE] = [types.lineage(name) for name in cell_type]
    result[Obs.CELL_TYPE] = cell_type
    result[Obs.CELL_ONTOLOGY] = [types.ontology(name) for name in cell_type]
    # One cell of a glioma shows the programmes of several types.
    second = second_identity(own, apart, best, score=second_score)
    second[(frame[Obs.CONDITION] == "glioma").to_numpy() | ~np.isin(called, names)] = -1
    result[Obs.CONFIDENCE] = np.where(second >= 0, second_trust * confidence, confidence).astype(np.float32)
    result[Obs.MALIGNANCY] = tumour[Obs.MALIGNANCY].to_numpy()
    result[Obs.MALIGNANCY_SCORE] = tumour[Obs.MALIGNANCY_SCORE].to_numpy()
    result[Obs.TUMOUR_OF_ORIGIN], doubt = origin(
        cell_type, frame, smooth, types, sites=sites or {}, score=origin_score, breast_score=breast_score
    )
    result[Obs.REASON] = reasons(
        called, names, votes, neighbors, types, shown=markers[NOTE].to_numpy(), copies=tumour["line"].to_numpy(),
        second=second, origin=doubt,
    )  # fmt: skip
    result[Obs.AUTHOR_LABEL] = cells[Obs.AUTHOR_LABEL].to_numpy()
    result[Obs.AUTHOR_CELL_TYPE] = cells[Obs.AUTHOR_CELL_TYPE].to_numpy()
    result[Obs.STUDY] = cells[Obs.STUDY].to_numpy()
    result["state"] = states(cell_type, smooth, types, margin=state_margin)
    result["state"] = subtypes(result, smooth, types, margin=state_margin)
    if overrides is not None:
        result = override(result, overrides, types)
    log.info("cell types: %s", result[Obs.CELL_TYPE].value_counts().to_dict())
    return result


def _votes(evidence: Mapping[str, pd.DataFrame], types: CellTypes, *, weight: float) -> tuple[list[str], np.ndarray]:
    """Candidates and their joint probabilities over the methods that vote; of the markers if none does."""
    names = [name for name in types.decided("broad", "clear") if SCORE + name in evidence["markers"]]
    joint: np.ndarray | None = None
    for method, table in evidence.items():
        known = np.array([VOTE + name in table for name in names])
        if not known.any():
            continue
        votes = table.reindex(columns=[VOTE + name for name in names]).to_numpy(np.float64)
        joint = np.nan_to_num(votes) if joint is None else _joined(joint, votes, known, weight=weight)
        log.info("votes of %s among %d types", method, known.sum())
    if joint is None:
        scores = evidence["markers"][[SCORE + name for name in names]].to_numpy(np.float64)
        joint = softmax(3 * np.nan_to_num(scores, nan=-9), axis=1)
    return names, joint


def _joined(joint: np.ndarray, votes: np.ndarray, known: np.ndarray, *, weight: float) -> np.ndarray:
    """Probabilities after one more method: a weighted geometric mean among the types that it knows.

    The share of these types together stays: a reference of immune cells must not turn tumour cells into them, nor can
    it say anything of a cell to which it gives no votes.
    """
    rows = np.nan_to_num(votes[:, known]).sum(axis=1) > 0
    own = joint[:, known]
    logs = np.log(np.maximum(own, 1e-6)) + weight * np.log(np.maximum(np.nan_to_num(votes[:, known]), 1e-6))
    mixed = softmax(logs / (1 + weight), axis=1) * own.sum(axis=1, keepdims=True)
    result = joint.copy()
    result[:, known] = np.where(rows[:, None], mixed, own)
    return result


def _shared(votes: np.ndarray, groups: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Probability of the group that the best candidate is in."""
    total = np.zeros(len(votes))
    for column in range(votes.shape[1]):
        own = groups[best] == groups[column]
        if groups[column] == UNKNOWN:
            own = best == column
        total += np.where(own, votes[:, column], 0)
    return np.clip(total, 0, 1)


def _impossible(names: list[str], types: CellTypes, condition: pd.Series) -> np.ndarray:
    """Cells × types: what a sample's condition rules out. Cells of gliomas show the granules of neuroendocrine ones."""
    epithelial = np.array([types.coarse(name) == "epithelial" for name in names])
    return condition.isin(NO_EPITHELIUM).to_numpy()[:, None] & epithelial[None, :]


def _without(votes: np.ndarray, impossible: np.ndarray) -> np.ndarray:
    """The votes of the other types, rows summing to one again."""
    left = np.where(impossible, 1e-6, votes)
    return np.asarray(left / left.sum(axis=1, keepdims=True))
