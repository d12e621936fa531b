"""One identity per cell from the evidence of all methods.

First the broad type, among few well separated candidates, by the votes of the methods; then the type inside it, by
marker scores averaged over neighbours; then state and malignancy. Where evidence is weak the parent or `unknown`
stands.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainmet.annotate import NOTE, SCORE, WITHIN
from brainmet.annotate.consensus.malignancy import malignancy
from brainmet.annotate.consensus.overrides import override
from brainmet.annotate.consensus.own_markers import second_identity
from brainmet.annotate.consensus.reasons import reasons
from brainmet.annotate.consensus.refinement import (
    in_brain,
    normal_epithelium,
    origin,
    states,
    subtypes,
    tumour_type,
    within,
)
from brainmet.annotate.consensus.votes import Votes, together, weighed
from brainmet.annotate.context import blended, positions
from brainmet.conditions import GLIOMA
from brainmet.contract import MALIGNANT_TIERS, UNKNOWN, Obs
from brainmet.knowledge.cell_types import CellTypes

log = logging.getLogger(__name__)

SMOOTHING = 0.7
"""Share of a marker score, inside the broad type and for what is told of a tumour, that comes from the neighbours."""
SURE = 0.5
"""Probability that a lineage needs at least to stand where its type is unsure: more likely than all others together."""
CELL_COLUMNS = (Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How evidence is weighed.

    Attributes:
        min_confidence: probability of the broad type below which its lineage, or `unknown`, stands.
        min_marker_score: marker score of the called type, over neighbours, below which the cell is unknown.
        vote_weight: weight of each further method's votes beside the first.
        neighbour_share: share of the probabilities that comes from the neighbours.
        none_shown, own_steepness, rare_score: see `brainmet.annotate.consensus.own_markers`.
        second_score: marker score of another class in the cell itself from which on it shows two identities.
        second_trust: what its confidence is multiplied by then.
        within_margin: lead in marker score that a type inside a broad type needs over its siblings.
        state_margin: the same for states, and the score a state needs.
        origin_score, breast_score: see `brainmet.annotate.consensus.refinement.origin`.
        brain_share: share of neuroglia from which on a sample is taken for brain if its condition leaves it open.
        positive_slope, positive_z, line_share: see `brainmet.annotate.consensus.malignancy`.
    """

    min_confidence: float
    min_marker_score: float
    vote_weight: float
    neighbour_share: float
    none_shown: float
    own_steepness: float
    rare_score: float
    second_score: float
    second_trust: float
    within_margin: float
    state_margin: float
    origin_score: float
    brain_share: float
    positive_slope: float
    positive_z: float
    line_share: float
    breast_score: float


@dataclass(frozen=True)
class Call:
    """The broad type of each cell.

    Attributes:
        name: type, or where that is unsure lineage or `unknown`.
        confidence: probability of its class.
        second: column of the candidate of another class that the cell shows too, -1 for none.
    """

    name: np.ndarray
    confidence: np.ndarray
    second: np.ndarray


def consensus(
    cells: pd.DataFrame,
    clusters: pd.Series,
    neighbors: np.ndarray,
    evidence: Mapping[str, pd.DataFrame],
    *,
    types: CellTypes,
    how: Settings,
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
        how: to weigh them.
        sites: declared primary site of the tumour, by sample.
        overrides: optional `level` (cluster or cell), `id`, `cell_type`: what an expert knows better.

    Returns:
        The columns of `annotation.parquet`.
    """
    for name, table in evidence.items():
        if not table.index.equals(cells.index):
            raise ValueError(f"the evidence of {name} is not of these cells, or in another order")
    markers = evidence["markers"]
    if "context" in evidence:
        neighbors = positions(evidence["context"])
    votes = weighed(
        evidence,
        cells[Obs.CONDITION],
        neighbors,
        types,
        vote_weight=how.vote_weight,
        neighbour_share=how.neighbour_share,
        none_shown=how.none_shown,
        own_steepness=how.own_steepness,
        rare_score=how.rare_score,
    )
    smooth = _smoothed(markers, neighbors)
    call = _called(votes, smooth, types, cells[Obs.CONDITION], how)
    frame = _looked_at(cells, call, evidence.get("copy_number"), types)
    tumour = malignancy(
        frame, types, positive_slope=how.positive_slope, positive_z=how.positive_z, line_share=how.line_share
    )
    # Macrophages elsewhere share C1QA, TREM2 and GPR34 with microglia, MRC1 and LYVE1 with those at its borders.
    only_there = [entry.id for entry in types.entries.values() if entry.tissue == "brain" and entry.id in smooth]
    smooth.loc[~in_brain(frame, share=how.brain_share), only_there] = -np.inf
    cell_type = within(call.name, smooth, types, margin=how.within_margin)
    tier = tumour[Obs.MALIGNANCY].to_numpy()
    cell_type = tumour_type(cell_type, frame, np.isin(tier, MALIGNANT_TIERS))
    cell_type = normal_epithelium(cell_type, frame, tier, smooth, types, how.within_margin)

    result = frame[[Obs.DATASET, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION]].copy()
    result[Obs.CLUSTER] = clusters.to_numpy()
    result[Obs.LINEAGE] = [types.lineage(name) for name in cell_type]
    result[Obs.CELL_TYPE] = cell_type
    result[Obs.CELL_ONTOLOGY] = [types.ontology(name) for name in cell_type]
    trust = np.where(call.second >= 0, how.second_trust, 1.0)
    result[Obs.CONFIDENCE] = (trust * call.confidence).astype(np.float32)
    result[Obs.MALIGNANCY] = tier
    result[Obs.MALIGNANCY_SCORE] = tumour[Obs.MALIGNANCY_SCORE].to_numpy()
    result[Obs.TUMOUR_OF_ORIGIN], doubt = origin(
        cell_type, frame, smooth, types, sites=sites or {}, score=how.origin_score, breast_score=how.breast_score
    )
    result[Obs.REASON] = reasons(
        call.name, votes.names, votes.share, neighbors, types, shown=markers[NOTE].to_numpy(),
        copies=tumour["evidence"].to_numpy(), second=call.second, origin=doubt,
    )  # fmt: skip
    for column in (Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE, Obs.STUDY):
        result[column] = cells[column].to_numpy()
    result["state"] = states(cell_type, smooth, types, margin=how.state_margin)
    result["state"] = subtypes(result, smooth, types, margin=how.state_margin)
    if overrides is not None:
        result = override(result, overrides, types, sites=sites or {})
    log.info("cell types: %s", result[Obs.CELL_TYPE].value_counts().to_dict())
    return result


def _smoothed(markers: pd.DataFrame, neighbors: np.ndarray) -> pd.DataFrame:
    """Marker scores over the neighbours by type; those that compare a type with its siblings where there are such."""
    names = [column for column in markers.columns if column != NOTE]
    smooth = pd.DataFrame(
        blended(markers[names].to_numpy(np.float32), neighbors, share=SMOOTHING),
        index=markers.index,
        columns=[name.removeprefix(SCORE) for name in names],
    )
    return smooth.assign(**{name.removeprefix(WITHIN): smooth[name] for name in smooth if name.startswith(WITHIN)})


def _called(votes: Votes, smooth: pd.DataFrame, types: CellTypes, condition: pd.Series, how: Settings) -> Call:
    """The broad type of each cell, its lineage where only that is sure, or `unknown`."""
    best, rows = votes.best, np.arange(len(votes.share))
    broad = np.array(votes.names, dtype=object)
    coarse, lineages = (
        np.array([of(name) for name in votes.names], dtype=object) for of in (types.coarse, types.lineage)
    )
    # Types of one class share its probability: pericyte against smooth muscle is no doubt about mural.
    confidence = together(votes.share, coarse, best)
    shown = smooth[votes.names].to_numpy()[rows, best] >= how.min_marker_score
    sure_lineage = together(votes.share, lineages, best) >= max(how.min_confidence, SURE)
    weak = (confidence < how.min_confidence) | ~shown
    name = np.where(weak, np.where(sure_lineage & shown, lineages[best], UNKNOWN), broad[best])
    second = second_identity(votes.alone, votes.classes, best, score=how.second_score)
    # One cell of a glioma shows the programmes of several types.
    second[(condition == GLIOMA).to_numpy() | ~np.isin(name, votes.names)] = -1
    return Call(name, confidence, second)


def _looked_at(cells: pd.DataFrame, call: Call, copy_number: pd.DataFrame | None, types: CellTypes) -> pd.DataFrame:
    """What malignancy and refinement look at: the cells, their broad type and what copy number says."""
    frame = cells[[*CELL_COLUMNS]].copy()
    frame[Obs.LINEAGE] = [types.lineage(name) for name in call.name]
    frame["broad"], frame["identity"] = call.name, call.confidence
    for name in ("cnv_slope", "cnv_z", "cnv_aneuploid", "n_reference"):
        frame[name] = copy_number[name].to_numpy() if copy_number is not None else np.nan
    frame["cnv_note"] = copy_number[NOTE].to_numpy() if copy_number is not None else "not run"
    return frame
