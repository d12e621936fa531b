"""Why each cell is called what it is, in words that a biologist can check."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from brainmet.knowledge.cell_types import CellTypes

NEARLY = 0.25
"""Probability from which on the next type is named."""
_HIGH, _JOINT = " high", "; "


def reasons(
    called: np.ndarray,
    names: Sequence[str],
    votes: np.ndarray,
    neighbors: np.ndarray,
    types: CellTypes,
    *,
    shown: np.ndarray,
    copies: np.ndarray,
    second: np.ndarray,
    origin: np.ndarray,
) -> np.ndarray:
    """One sentence per cell: its genes, its neighbours, its copy number, and what speaks against.

    Args:
        called: broad type, lineage or `unknown` of each cell.
        names: of the candidates.
        votes: cells × candidates.
        neighbors: rows of each cell's nearest cells, -1 for none.
        types: the resource.
        shown: symbols that stand out in each cell, highest first, separated by blanks.
        copies: words on its copy number.
        second: column of the candidate that it shows besides, -1 for none.
        origin: words on where its tumour comes from.
    """
    candidates = np.array(names, dtype=object)
    several = votes.shape[1] > 1
    following = candidates[np.argsort(-votes, axis=1, kind="stable")[:, 1]] if several else called
    share = np.sort(votes, axis=1)[:, -2] if several else np.zeros(len(called))
    positive = {
        name: set(types[name].positive).union(*(types[child].positive for child in types.children(name, level="type")))
        for name in dict.fromkeys(called)
        if name in types
    }
    lines, near, agree = [], (neighbors >= 0).sum(axis=1), _agreement(called, neighbors)
    for i, name in enumerate(called):
        parts = (
            _of_markers(shown[i].split(), positive.get(name)),
            f"neighbours agree {agree[i]}/{near[i]}" if near[i] else "",
            copies[i],
            origin[i],
            f"shows {candidates[second[i]]} too, doublet-like" if second[i] >= 0 else "",
            f"{following[i]} nearly as likely" if share[i] > NEARLY else "",
        )
        lines.append(_JOINT.join(filter(None, parts)))
    return np.array(lines, dtype=object)


def _of_markers(high: Sequence[str], positive: Collection[str] | None) -> str:
    """Which of the genes that stand out are markers of what the cell is called; None where it is called no type."""
    if positive is None:
        return f"weak evidence, highest: {', '.join(high) or 'no marker'}"
    markers = [gene for gene in high if gene in positive]
    return f"{', '.join(markers)}{_HIGH}" if markers else "none of its markers among the highest"


def named_genes(sentences: pd.Series) -> pd.Series:
    """Marker genes that `reasons` names in each sentence as high, one row per gene; the index is that of the cells."""
    first = sentences.str.split(_JOINT, n=1).str[0]
    return first[first.str.endswith(_HIGH)].str.removesuffix(_HIGH).str.split(", ").explode()


def _agreement(called: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """How many of each cell's neighbours have its type."""
    agree = np.zeros(len(called), int)
    for column in neighbors.T:
        agree += (column >= 0) & (called[column] == called)
    return agree
