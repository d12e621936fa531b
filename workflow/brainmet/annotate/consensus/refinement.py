"""What is told of a cell once its broad type is known: the type inside it, a tumour's origin and subtype, the state."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmet.conditions import GLIOMA, ids
from brainmet.contract import UNKNOWN, Obs, Tier
from brainmet.knowledge.cell_types import CellTypes, Named


def in_brain(frame: pd.DataFrame, *, share: float) -> np.ndarray:
    """Whether each cell's sample is of the brain: by its condition, or where that is silent by its neuroglia."""
    neuroglia = (frame[Obs.LINEAGE] == Named.NEUROGLIA).groupby(frame[Obs.SAMPLE]).transform("mean").to_numpy()
    condition = frame[Obs.CONDITION]
    return np.where(condition.isin(ids(in_brain=None)), neuroglia >= share, condition.isin(ids(in_brain=True)))


def within(
    called: np.ndarray, smooth: pd.DataFrame, types: CellTypes, *, margin: float, epithelium: bool = False
) -> np.ndarray:
    """The best child of each called type where it leads its siblings clearly; the called type elsewhere."""
    result = called.astype(object).copy()
    for name in dict.fromkeys(called):
        # What an epithelial cell is depends on whether it is a tumour's.
        if name not in types or (name == Named.EPITHELIAL and not epithelium):
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


def tumour_type(cell_type: np.ndarray, frame: pd.DataFrame, malignant: np.ndarray) -> np.ndarray:
    """Types of malignant cells by what they come from; normal epithelium keeps its own."""
    result = cell_type.copy()
    lineage = frame[Obs.LINEAGE].to_numpy()
    glioma = (frame[Obs.CONDITION] == GLIOMA).to_numpy()
    # Outside a glioma, malignant cells of another lineage are a carcinoma's that lost its epithelial programme.
    result[malignant] = np.where(lineage == Named.MELANOMA, Named.MELANOMA, Named.CARCINOMA)[malignant]
    result[malignant & glioma & np.isin(lineage, [Named.NEUROGLIA, Named.STROMA])] = Named.GLIOMA
    # A melanocytic identity without any other line of evidence may be a normal melanocyte.
    result[(cell_type == Named.MELANOMA) & ~malignant] = UNKNOWN
    return result


def normal_epithelium(
    cell_type: np.ndarray, frame: pd.DataFrame, tier: np.ndarray, smooth: pd.DataFrame, types: CellTypes, margin: float
) -> np.ndarray:
    """Epithelial cells that are normal, in a breast: luminal or myoepithelial where one leads."""
    result = cell_type.copy()
    breast = frame[Obs.CONDITION].isin(ids(epithelium="breast")).to_numpy()
    rows = np.flatnonzero((cell_type == Named.EPITHELIAL) & breast & (tier == Tier.NORMAL))
    if len(rows):
        result[rows] = within(cell_type[rows], smooth.iloc[rows], types, margin=margin, epithelium=True)
    return result


def origin(
    cell_type: np.ndarray,
    frame: pd.DataFrame,
    smooth: pd.DataFrame,
    types: CellTypes,
    *,
    sites: Mapping[str, str],
    score: float,
    breast_score: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Organ a malignant cell comes from: a property of the tumour, so decided by sample and donor.

    The declared site is believed. Where there is none, an organ's markers tell, and `unknown` stands where these are
    not shown. Breast needs only to be shown, being what such cohorts are of; another organ to be shown clearly.

    Args:
        cell_type: of each cell.
        frame: `sample, donor`.
        smooth: marker scores over neighbours.
        types: the resource.
        sites: declared primary site by sample.
        score: mean marker score of a tumour's cells from which on an organ other than the breast is shown.
        breast_score: the same for the breast.

    Returns:
        Origin, empty for cells that are not malignant; and words, where markers speak against what is declared or
        nothing tells.
    """
    result, words = np.full((2, len(cell_type)), "", dtype=object)
    for name in (Named.MELANOMA, Named.GLIOMA):
        result[cell_type == name] = types[name].origin
    organs = [name for name in types.decided("origin") if name in smooth]
    breast = types[Named.CARCINOMA].origin
    for (sample, _), rows in frame.groupby([Obs.SAMPLE, Obs.DONOR], sort=True).indices.items():
        tumour = rows[cell_type[rows] == Named.CARCINOMA]
        if not len(tumour):
            continue
        means = np.nan_to_num(smooth[organs].to_numpy()[tumour].mean(axis=0), nan=-9.0)
        shown = [types[name].origin for mean, name in sorted(zip(-means, organs, strict=True)) if -mean >= score]
        declared = types.origin_of(sites.get(sample, ""))
        if declared:
            result[tumour] = declared
            if shown and declared not in shown:
                words[tumour] = f"markers of {shown[0]} origin, {declared} declared"
        elif shown:
            result[tumour] = shown[0]
        elif any(
            types[name].origin == breast and mean >= breast_score for name, mean in zip(organs, means, strict=True)
        ):
            result[tumour] = breast
        else:
            result[tumour], words[tumour] = UNKNOWN, "origin neither declared nor shown"
    return result, words


def states(cell_type: np.ndarray, smooth: pd.DataFrame, types: CellTypes, *, margin: float) -> np.ndarray:
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


def subtypes(result: pd.DataFrame, smooth: pd.DataFrame, types: CellTypes, *, margin: float) -> np.ndarray:
    """States of all cells, those of a breast tumour decided by donor: a subtype is a property of the tumour."""
    state = result["state"].to_numpy(object).copy()
    subtypes = [
        name for name in types.children(Named.CARCINOMA, level="state") if types[name].decide is None and name in smooth
    ]
    carcinoma = (result[Obs.CELL_TYPE] == Named.CARCINOMA).to_numpy()
    of_breast = carcinoma & (result[Obs.TUMOUR_OF_ORIGIN] == types[Named.CARCINOMA].origin).to_numpy()
    state[carcinoma] = ""
    if len(subtypes) < 2:
        return state
    for _, rows in result.groupby([Obs.STUDY, Obs.DONOR], sort=True).indices.items():
        tumour = rows[of_breast[rows]]
        if not len(tumour):
            continue
        means = np.nan_to_num(smooth[subtypes].to_numpy()[tumour].mean(axis=0), nan=-9.0)
        first, second = np.sort(means)[::-1][:2]
        if first - second >= margin:
            state[tumour] = subtypes[int(means.argmax())]
    return state
