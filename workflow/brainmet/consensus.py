"""One identity a cell from the evidence of all methods.

First the broad type, among few well separated candidates, by the votes of the methods; then the type inside it, by
marker scores averaged over neighbours; then state and malignancy. Where evidence is weak the parent or `unknown`
stands.
"""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmet.annotate import NOTE, SCORE, VOTE, WITHIN
from brainmet.annotate._own import told_apart
from brainmet.annotate.context import blended, positions
from brainmet.annotate.self_training import softmax
from brainmet.cell_types import CellTypes
from brainmet.contract import MALIGNANT_PREFIX, MALIGNANT_TIERS, UNKNOWN, Obs
from brainmet.contradiction import heeded, own_scores, second_identity
from brainmet.errors import BrainmetError
from brainmet.malignancy import malignancy
from brainmet.reasons import reasons

log = logging.getLogger(__name__)

CELL_COLUMNS = (Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE)
BREAST = "malignant_epithelial"
NO_EPITHELIUM = ("glioma", "normal_brain")
"""Conditions whose samples hold no epithelial cells."""
IN_BRAIN = ("brain_metastasis", "leptomeningeal", "normal_brain", "peritumoural_brain", "glioma")
OUTSIDE_BRAIN = ("primary", "normal_breast", "extracranial_metastasis", "lymph_node_metastasis")
"""Conditions that tell whether a sample is of the brain; the others leave it open."""
WITH_BREAST = ("primary", "normal_breast")
"""Tissues with normal epithelium of the breast."""


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
        origin_score: marker score from which on a tumour's organ of origin other than the breast is called.
        brain_share: share of neuroglia from which on a sample is taken for brain if its condition leaves it open.
        positive_slope, positive_z, line_share: see `brainmet.malignancy`.
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
    votes = heeded(votes, own, apart, none_shown=none_shown, own_steepness=own_steepness)
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
    smooth.loc[~_in_brain(frame, share=brain_share), only_there] = -np.inf
    cell_type = _within(called, smooth, types, margin=within_margin)
    cell_type = _tumour_type(cell_type, frame, malignant)
    cell_type = _normal_epithelium(cell_type, frame, tumour[Obs.MALIGNANCY].to_numpy(), smooth, types, within_margin)
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
    result[Obs.TUMOUR_OF_ORIGIN] = _origin(cell_type, frame, smooth, types, score=origin_score)
    result[Obs.REASON] = reasons(
        called, names, votes, neighbors, types, shown=markers[NOTE].to_numpy(), copies=tumour["line"].to_numpy(),
        second=second,
    )  # fmt: skip
    result[Obs.AUTHOR_LABEL] = cells[Obs.AUTHOR_LABEL].to_numpy()
    result[Obs.AUTHOR_CELL_TYPE] = cells[Obs.AUTHOR_CELL_TYPE].to_numpy()
    result[Obs.STUDY] = cells[Obs.STUDY].to_numpy()
    result["state"] = _states(cell_type, smooth, types, margin=state_margin)
    result["state"] = _subtypes(result, smooth, types, margin=state_margin)
    if overrides is not None:
        result = override(result, overrides, types)
    log.info("cell types: %s", result[Obs.CELL_TYPE].value_counts().to_dict())
    return result


def override(annotation: pd.DataFrame, overrides: pd.DataFrame, types: CellTypes) -> pd.DataFrame:
    """The annotation with the types that an expert gives to clusters or cells; tiers and origin follow the type.

    Raises:
        BrainmetError: no cell of the run has the named cluster or id.
    """
    result = annotation.copy()
    for level, name, kind in overrides[["level", "id", "cell_type"]].itertuples(index=False):
        rows = result[Obs.CLUSTER] == str(name) if level == "cluster" else result.index == name
        if not rows.any():
            known = ", ".join(sorted(set(annotation[Obs.CLUSTER]))) if level == "cluster" else "sample:barcode"
            raise BrainmetError(f"annotate.overrides: no cell has the {level} {name!r}; {level}s are {known}")
        malignant = kind.startswith(MALIGNANT_PREFIX)
        result.loc[rows, Obs.CELL_TYPE] = kind
        result.loc[rows, Obs.LINEAGE] = types.lineage(kind)
        result.loc[rows, Obs.CELL_ONTOLOGY] = types.ontology(kind)
        result.loc[rows, Obs.CONFIDENCE] = np.float32(1.0)
        result.loc[rows, Obs.MALIGNANCY] = MALIGNANT_TIERS[0] if malignant else "normal"
        result.loc[rows, Obs.MALIGNANCY_SCORE] = np.float32(malignant)
        result.loc[rows, Obs.TUMOUR_OF_ORIGIN] = types[kind].origin
        result.loc[rows, "state"] = ""
        result.loc[rows, Obs.REASON] = f"set by hand ({level} {name})"
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
        joint = softmax(3 * np.nan_to_num(scores, nan=-9))
    return names, joint


def _joined(joint: np.ndarray, votes: np.ndarray, known: np.ndarray, *, weight: float) -> np.ndarray:
    """Probabilities after one more method: a weighted geometric mean among the types that it knows.

    The share of these types together stays: a reference of immune cells must not turn tumour cells into them, nor can
    it say anything of a cell to which it gives no votes.
    """
    rows = np.nan_to_num(votes[:, known]).sum(axis=1) > 0
    own = joint[:, known]
    logs = np.log(np.maximum(own, 1e-6)) + weight * np.log(np.maximum(np.nan_to_num(votes[:, known]), 1e-6))
    mixed = softmax(logs / (1 + weight)) * own.sum(axis=1, keepdims=True)
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


def _in_brain(frame: pd.DataFrame, *, share: float) -> np.ndarray:
    """Whether each cell's sample is of the brain: by its condition, or where that is silent by its neuroglia."""
    neuroglia = (frame[Obs.LINEAGE] == "neuroglia").groupby(frame[Obs.SAMPLE]).transform("mean").to_numpy()
    condition = frame[Obs.CONDITION]
    return np.where(condition.isin(IN_BRAIN + OUTSIDE_BRAIN), condition.isin(IN_BRAIN), neuroglia >= share)


def _within(
    called: np.ndarray, smooth: pd.DataFrame, types: CellTypes, *, margin: float, epithelium: bool = False
) -> np.ndarray:
    """The best child of each called type where it leads its siblings clearly; the called type elsewhere."""
    result = called.astype(object).copy()
    for name in dict.fromkeys(called):
        # What an epithelial cell is depends on whether it is a tumour's.
        if name not in types or (name == "epithelial" and not epithelium):
            continue
        children = [
            child for child in types.children(name, level="type") if types[child].decide == "within" and child in smooth
        ]
        if len(children) < 2:
            continue
        rows = np.flatnonzero(called == name)
        scores = np.nan_to_num(smooth[children].to_numpy()[rows], nan=-9.0, neginf=-9.0)
        ordered = np.sort(scores, axis=1)
        clear = ordered[:, -1] - ordered[:, -2] >= margin
        result[rows[clear]] = np.array(children, dtype=object)[scores.argmax(axis=1)][clear]
    return result


def _tumour_type(cell_type: np.ndarray, frame: pd.DataFrame, malignant: np.ndarray) -> np.ndarray:
    """Types of malignant cells by what they come from; normal epithelium keeps its own."""
    result = cell_type.copy()
    lineage = frame[Obs.LINEAGE].to_numpy()
    glioma = (frame[Obs.CONDITION] == "glioma").to_numpy()
    # Outside a glioma, malignant cells of another lineage are a carcinoma's that lost its epithelial programme.
    result[malignant & (lineage != "malignant_melanocytic")] = BREAST
    result[malignant & (lineage == "malignant_melanocytic")] = "malignant_melanocytic"
    result[malignant & glioma & np.isin(lineage, ["neuroglia", "vascular_stromal"])] = "malignant_glial"
    # A melanocytic identity without any other line of evidence may be a normal melanocyte.
    result[(cell_type == "malignant_melanocytic") & ~malignant] = UNKNOWN
    return result


def _normal_epithelium(
    cell_type: np.ndarray, frame: pd.DataFrame, tier: np.ndarray, smooth: pd.DataFrame, types: CellTypes, margin: float
) -> np.ndarray:
    """Epithelial cells that are normal, in a breast: luminal or myoepithelial where one leads."""
    result = cell_type.copy()
    breast = frame[Obs.CONDITION].isin(WITH_BREAST).to_numpy()
    rows = np.flatnonzero((cell_type == "epithelial") & breast & (tier == "normal"))
    if len(rows):
        result[rows] = _within(cell_type[rows], smooth.iloc[rows], types, margin=margin, epithelium=True)
    return result


def _origin(
    cell_type: np.ndarray, frame: pd.DataFrame, smooth: pd.DataFrame, types: CellTypes, *, score: float
) -> np.ndarray:
    """Organ a malignant cell comes from, decided by sample: an organ is a property of the tumour, not of a cell."""
    result = np.full(len(cell_type), "", dtype=object)
    for name in ("malignant_melanocytic", "malignant_glial"):
        result[cell_type == name] = types[name].origin
    organs = [name for name in types.decided("origin") if name in smooth]
    for _, rows in frame.groupby(Obs.SAMPLE, sort=True).indices.items():
        tumour = rows[cell_type[rows] == BREAST]
        if not len(tumour):
            continue
        means = smooth[organs].to_numpy()[tumour].mean(axis=0) if organs else np.zeros(0)
        means = np.nan_to_num(means, nan=-9.0)
        found = organs[int(means.argmax())] if len(means) and means.max() >= score else BREAST
        result[tumour] = types[found].origin
    return result


def _states(cell_type: np.ndarray, smooth: pd.DataFrame, types: CellTypes, *, margin: float) -> np.ndarray:
    """The best state of each cell's type where it is shown clearly; empty elsewhere."""
    result = np.full(len(cell_type), "", dtype=object)
    for name in dict.fromkeys(cell_type):
        if name not in types:
            continue
        states = [s for s in types.children(name, level="state") if types[s].decide is None and s in smooth]
        if not states:
            continue
        rows = np.flatnonzero(cell_type == name)
        scores = np.nan_to_num(smooth[states].to_numpy()[rows], nan=-9.0)
        ordered = np.sort(np.column_stack([scores, np.full(len(rows), -9.0)]), axis=1)
        clear = (ordered[:, -1] >= margin) & (ordered[:, -1] - ordered[:, -2] >= margin)
        result[rows[clear]] = np.array(states, dtype=object)[scores.argmax(axis=1)][clear]
    return result


def _subtypes(result: pd.DataFrame, smooth: pd.DataFrame, types: CellTypes, *, margin: float) -> np.ndarray:
    """States of all cells, those of a breast tumour decided by donor: a subtype is a property of the tumour."""
    state = result["state"].to_numpy(object).copy()
    subtypes = [name for name in types.children(BREAST, level="state") if types[name].decide is None and name in smooth]
    own = ((result[Obs.CELL_TYPE] == BREAST) & (result[Obs.TUMOUR_OF_ORIGIN] == types[BREAST].origin)).to_numpy()
    state[(result[Obs.CELL_TYPE] == BREAST).to_numpy()] = ""
    if len(subtypes) < 2:
        return state
    for _, rows in result.groupby([Obs.STUDY, Obs.DONOR], sort=True).indices.items():
        tumour = rows[own[rows]]
        if not len(tumour):
            continue
        means = np.nan_to_num(smooth[subtypes].to_numpy()[tumour].mean(axis=0), nan=-9.0)
        first, second = np.sort(means)[::-1][:2]
        if first - second >= margin:
            state[tumour] = subtypes[int(means.argmax())]
    return state


def _impossible(names: list[str], types: CellTypes, condition: pd.Series) -> np.ndarray:
    """Cells × types: what a sample's condition rules out. Cells of gliomas show the granules of neuroendocrine ones."""
    epithelial = np.array([types.coarse(name) == "epithelial" for name in names])
    return condition.isin(NO_EPITHELIUM).to_numpy()[:, None] & epithelial[None, :]


def _without(votes: np.ndarray, impossible: np.ndarray) -> np.ndarray:
    """The votes of the other types, rows summing to one again."""
    left = np.where(impossible, 1e-6, votes)
    return np.asarray(left / left.sum(axis=1, keepdims=True))


def read_overrides(path: str | list[str] | None, types: CellTypes) -> pd.DataFrame | None:
    """The table of overrides: `level` (cluster or cell), `id`, `cell_type`; None without a file.

    Raises:
        BrainmetError: a column is missing, a level or a type is not known.
    """
    if not path:
        return None
    file = path if isinstance(path, str) else path[0]
    table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
    if missing := [name for name in ("level", "id", "cell_type") if name not in table]:
        raise BrainmetError(f"{file}: column {missing[0]} is missing; columns are level, id, cell_type")
    if wrong := [name for name in table["cell_type"] if name not in types]:
        raise BrainmetError(f"{file}: cell type {wrong[0]!r} is not known; see resources/markers/markers.yaml")
    if wrong := [name for name in table["level"] if name not in ("cluster", "cell")]:
        raise BrainmetError(f"{file}: level {wrong[0]!r} is not allowed; allowed: cluster, cell")
    return table
