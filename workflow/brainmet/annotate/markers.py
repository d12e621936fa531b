"""What each cell's marker genes show above the RNA that floats in its sample.

A gene counts as evidence by how far it lies above what floats: `log((count + 1/2) / (expected + 1/2))`. Expected is a
share of the sample's mean profile, or what cells that are clearly of other lineages all show of the gene, if that is
more: a tumour's keratins in its T cells, S100A8 in tumour cells, immunoglobulin everywhere. The mean over a set is its
score. Scores do not assume a balanced sample as z-scores do.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.annotate import NOTE, SCORE, WITHIN
from brainmet.contract import Var
from brainmet.core.counts import Counts
from brainmet.knowledge.cell_types import CellType, CellTypes, gene_columns

SCOPE = "sample"
REQUIRES = ("counts", "cells", "types")
IN_WORDS = "marker genes"
log = logging.getLogger(__name__)

SHOWN = 6
"""Most genes that are named for a cell."""
CLEARLY = 0.5
"""Evidence above which a gene is named."""
MIN_TELLING = 10
"""Clear cells of a lineage from which on it tells what floats."""


@dataclass(frozen=True)
class Floor:
    """What counts have to exceed to be evidence.

    Attributes:
        rate: by gene, as a share of a cell's counts.
        max_evidence: the most that one gene can add.
        depth_cap: total that the counts of deeper cells are scaled to.
    """

    rate: np.ndarray
    max_evidence: float
    depth_cap: float


def annotate(
    counts: Counts,
    cells: pd.DataFrame,
    *,
    types: CellTypes,
    ambient_floor: float,
    base_rate: float,
    max_evidence: float,
    depth_cap: float,
    prior_genes: float,
    clear_lead: float,
    min_clear: float,
) -> pd.DataFrame:
    """Score of every set of the resource in every kept cell, and the genes that stand out.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        types: the resource.
        ambient_floor: share of the sample's mean profile that is expected in every cell.
        base_rate: rate of stray reads per gene, as a share of the cell's counts.
        max_evidence: most that one gene can add, in log units.
        depth_cap: counts of deeper cells are scaled to this total, so that reads of full-length plates do not outweigh.
        prior_genes: genes at the floor that every set is given in addition.
        clear_lead: lead of a lineage's best set over all other lineages' from which on a cell tells what floats in it.
        min_clear: share of such cells that a lineage needs for that.

    Returns:
        Index cell id; `note` (symbols above the floor, highest first), `score_{id}` float32 for every set, NaN for sets
        without a measured gene; `within_{id}` for types that are told apart inside another, above the mean profile's
        floor alone.
    """
    keep = counts.kept(cells)
    entries = [entry for entry in types.entries.values() if entry.positive]
    symbols = counts.genes[Var.SYMBOL].to_numpy()
    columns = gene_columns(symbols, {gene for entry in entries for gene in entry.positive})
    symbols = symbols[columns]
    X, total, profile = marker_counts(counts, keep, columns)
    log.info("%d cells, %d markers measured, floor %.3g of the mean profile", X.shape[0], len(columns), ambient_floor)
    weights = _set_weights(entries, symbols, prior_genes=prior_genes)
    mean_floor = Floor(ambient_floor * profile + base_rate, max_evidence, depth_cap)
    above_mean = np.vstack([evidence @ weights for evidence in _evidence(X, total, mean_floor)])
    broad = [j for j, entry in enumerate(entries) if entry.decide == "broad" and weights[:, j].any()]
    lineages = np.array([types.lineage(entries[j].id) for j in broad], dtype=object)
    clear = clear_lineages(above_mean[:, broad], lineages, lead=clear_lead)
    floating = elsewhere(X, total, clear, _makers(types, symbols), min_share=min_clear)
    log.info("%d markers are above the floor in cells that do not make them", (floating > mean_floor.rate).sum())
    floor = replace(mean_floor, rate=np.maximum(mean_floor.rate, floating))
    scores, notes = [], []
    for evidence in _evidence(X, total, floor):
        scores.append(evidence @ weights)
        notes += _highest(evidence, symbols)
    return _table(entries, np.vstack(scores), above_mean, weights, notes, counts.cells.index[keep])


def marker_counts(
    counts: Counts, keep: np.ndarray, columns: np.ndarray
) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray]:
    """Counts of the kept cells in some genes, each cell's total over all genes, and the genes' shares of all counts."""
    blocks, totals, sums = [], [], np.zeros(counts.shape[1])
    for block in counts.linear_chunks(keep):
        totals.append(np.asarray(block.sum(axis=1, dtype=np.float64)).ravel())
        sums += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
        blocks.append(block[:, columns])
    X = sp.vstack(blocks, format="csr") if blocks else sp.csr_matrix((0, len(columns)), dtype=np.float32)
    return X, np.concatenate(totals) if totals else np.zeros(0), sums[columns] / max(sums.sum(), 1.0)


def _set_weights(entries: Sequence[CellType], symbols: np.ndarray, *, prior_genes: float) -> np.ndarray:
    """Genes × sets: what each gene adds to a set's score; a column of zeros where none of the set is measured."""
    position = {symbol: i for i, symbol in enumerate(symbols)}
    weights = np.zeros((len(symbols), len(entries)), np.float32)
    for j, entry in enumerate(entries):
        genes = [position[gene] for gene in entry.positive if gene in position]
        if genes:
            # A mean of few genes is taken in by one stray read: it is drawn to the floor.
            weights[genes, j] = 1 / (len(genes) + prior_genes)
    return weights


def _table(
    entries: Sequence[CellType],
    scores: np.ndarray,
    above_mean: np.ndarray,
    weights: np.ndarray,
    notes: list[str],
    index: pd.Index,
) -> pd.DataFrame:
    """The evidence as a table: scores of all sets, and those that compare a type with its siblings.

    Siblings and states are compared among cells of one lineage, where what others show of a gene says nothing: their
    scores are those above the mean profile's floor.
    """
    scores = scores.astype(np.float32)
    states = [entry.level == "state" for entry in entries]
    scores[:, states] = above_mean[:, states]
    scores[:, ~weights.any(axis=0)] = np.nan
    table = pd.DataFrame(scores, index=index, columns=[SCORE + entry.id for entry in entries])
    for j, entry in enumerate(entries):
        if entry.decide == "within":
            table[WITHIN + entry.id] = np.where(np.isnan(scores[:, j]), np.nan, above_mean[:, j]).astype(np.float32)
    table.insert(0, NOTE, np.array(notes, dtype=object))
    return table


def _evidence(X: sp.csr_matrix, total: np.ndarray, floor: Floor) -> Iterator[np.ndarray]:
    """Evidence of every cell and gene, some cells at a time; one empty block where there are no cells."""
    for start in range(0, max(X.shape[0], 1), 2_000):
        part = slice(start, start + 2_000)
        yield above_floor(X[part], total[part], floor.rate, max_evidence=floor.max_evidence, depth_cap=floor.depth_cap)


def _makers(types: CellTypes, genes: np.ndarray) -> list[set[str]]:
    """By gene, the lineages whose sets hold it."""
    makers: dict[str, set[str]] = {gene: set() for gene in genes}
    for entry in types.entries.values():
        for gene in makers.keys() & set(entry.positive):
            makers[gene].add(types.lineage(entry.id))
    return [makers[gene] for gene in genes]


def clear_lineages(scores: np.ndarray, lineages: np.ndarray, *, lead: float) -> np.ndarray:
    """Lineage of each cell whose best set leads those of all other lineages by `lead`; empty for all other cells.

    Without any set, where a sample measures no marker, no cell is clear.

    Args:
        scores: cells × sets.
        lineages: of each set.
        lead: in score.
    """
    names = sorted(set(lineages))
    if not names:
        return np.full(len(scores), "", dtype=object)
    best = np.stack([scores[:, lineages == name].max(axis=1) for name in names], axis=1)
    ordered = np.sort(best, axis=1)
    clear = (ordered[:, -1] > 0) & (ordered[:, -1] - ordered[:, -2] >= lead) if len(names) > 1 else best[:, 0] > 0
    return np.where(clear, np.array(names, dtype=object)[best.argmax(axis=1)], "")


def elsewhere(
    X: sp.csr_matrix, total: np.ndarray, lineage: np.ndarray, makers: Sequence[set[str]], *, min_share: float
) -> np.ndarray:
    """Rate that each gene has at least in every lineage that does not make it: it floats there. 0 where none tells.

    Args:
        X: cells × genes.
        total: counts of each cell.
        lineage: of each clear cell, empty for others.
        makers: lineages that make a gene; of a gene without any nothing is said.
        min_share: share of the cells that a lineage needs to tell: strays of a class that fills the sample must not
            make its own genes seem to float.
    """
    low = np.full(X.shape[1], np.inf)
    for name in sorted(set(lineage) - {""}):
        rows = lineage == name
        if rows.sum() < max(MIN_TELLING, min_share * len(lineage)):
            continue
        rate = np.asarray(X[rows].sum(axis=0, dtype=np.float64)).ravel() / max(total[rows].sum(), 1.0)
        foreign = np.array([bool(lineages) and name not in lineages for lineages in makers])
        low[foreign] = np.minimum(low[foreign], rate[foreign])
    return np.where(np.isfinite(low), low, 0.0)


def above_floor(
    X: sp.csr_matrix, total: np.ndarray, rate: np.ndarray, *, max_evidence: float, depth_cap: float
) -> np.ndarray:
    """Log ratio of each count to what is expected at the given rate, half a count added to both; cells × genes."""
    scale = np.minimum(1.0, depth_cap / np.maximum(total, 1.0))
    evidence = X.toarray()
    evidence *= scale[:, None].astype(np.float32)
    evidence += np.float32(0.5)
    evidence /= np.outer(total * scale, rate).astype(np.float32) + np.float32(0.5)
    return np.minimum(np.log(evidence, out=evidence), max_evidence, out=evidence)


def _highest(evidence: np.ndarray, symbols: np.ndarray) -> list[str]:
    """The symbols with most evidence in each cell, those clearly above the floor only."""
    left, cells, shown = evidence.copy(), np.arange(len(evidence)), []
    for _ in range(min(SHOWN, evidence.shape[1])):
        best = left.argmax(axis=1)  # Of equal evidence the earlier gene comes first.
        shown.append(np.where(left[cells, best] > CLEARLY, symbols[best], ""))
        left[cells, best] = -np.inf
    return [" ".join(filter(None, genes)) for genes in zip(*shown, strict=True)] if shown else [""] * len(evidence)
