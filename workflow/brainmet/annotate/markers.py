"""What each cell's marker genes show above the RNA that floats in its sample.

A gene counts as evidence by how far it lies above a share of the sample's mean profile, which stands for the ambient
RNA: `log((count + 1/2) / (expected + 1/2))`. Genes that most cells of the sample carry say little of one cell and weigh
less. The mean over a set is its score. Scores do not assume a balanced sample as z-scores do, nor are they taken in by
immunoglobulin that is in every cell of a tumour.
"""

import logging

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.annotate import NOTE, SCORE
from brainmet.cell_types import CellTypes, gene_columns
from brainmet.contract import Obs, Var
from brainmet.counts import Counts

SCOPE = "sample"
REQUIRES = ("counts", "cells")
log = logging.getLogger(__name__)

SHOWN = 6
"""Genes named a cell."""


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
) -> pd.DataFrame:
    """Score of every set of the resource in every kept cell, and the genes that stand out.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        types: the resource.
        ambient_floor: share of the sample's mean profile that is expected in every cell.
        base_rate: rate of stray reads a gene, as a share of the cell's counts.
        max_evidence: most that one gene can add, in log units.
        depth_cap: counts of deeper cells are scaled to this total, so that reads of full-length plates do not outweigh.
        prior_genes: genes at the floor that every set is given in addition.

    Returns:
        Index cell id; `note` (symbols above the floor, highest first), `score_{id}` float32 for every set with a
        measured gene, NaN for sets without one.
    """
    keep = cells[Obs.KEEP].reindex(counts.cells.index).to_numpy(bool)
    symbols = counts.genes[Var.SYMBOL].to_numpy()
    entries = [entry for entry in types.entries.values() if entry.positive]
    columns = gene_columns(symbols, {gene for entry in entries for gene in entry.positive})
    blocks, totals, sums = [], [], np.zeros(len(symbols))
    for block in counts.chunks(keep):
        totals.append(np.asarray(block.sum(axis=1, dtype=np.float64)).ravel())
        sums += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
        blocks.append(block[:, columns])
    X = sp.vstack(blocks, format="csr") if blocks else sp.csr_matrix((0, len(columns)), dtype=np.float32)
    total = np.concatenate(totals) if totals else np.zeros(0)
    profile = sums[columns] / max(sums.sum(), 1.0)
    log.info(
        "%d cells, %d of the markers measured, floor %.3g of the mean profile", X.shape[0], len(columns), ambient_floor
    )

    position = {symbol: i for i, symbol in enumerate(symbols[columns])}
    members = [
        np.array([position[gene] for gene in entry.positive if gene in position], dtype=int) for entry in entries
    ]
    design = np.zeros((len(columns), len(entries)))
    for j, genes in enumerate(members):
        if len(genes):
            # A mean of few genes is taken in by one stray read: it is drawn to the floor.
            design[genes, j] = 1 / (len(genes) + prior_genes)
    scores, notes = np.empty((X.shape[0], len(entries)), np.float32), []
    for start in range(0, X.shape[0], 2_000):
        part = slice(start, start + 2_000)
        evidence = above_floor(
            X[part], total[part], ambient_floor * profile + base_rate, max_evidence=max_evidence, depth_cap=depth_cap
        )
        scores[part] = evidence @ design
        notes += _highest(evidence, symbols[columns])
    scores[:, [len(genes) == 0 for genes in members]] = np.nan
    index = counts.cells.index[keep]
    table = pd.DataFrame(scores, index=index, columns=[SCORE + entry.id for entry in entries])
    table.insert(0, NOTE, np.array(notes, dtype=object))
    return table


def above_floor(
    X: sp.csr_matrix, total: np.ndarray, rate: np.ndarray, *, max_evidence: float, depth_cap: float
) -> np.ndarray:
    """Log ratio of each count to what is expected at the given rate, half a count added to both; cells × genes."""
    scale = np.minimum(1.0, depth_cap / np.maximum(total, 1.0))
    observed = X.toarray().astype(np.float64) * scale[:, None]
    expected = (total * scale)[:, None] * rate[None, :]
    return np.minimum(np.log((observed + 0.5) / (expected + 0.5)), max_evidence)


def _highest(evidence: np.ndarray, symbols: np.ndarray) -> list[str]:
    """The symbols with most evidence in each cell, those clearly above the floor only."""
    if not evidence.size:
        return [""] * len(evidence)
    k = min(SHOWN, evidence.shape[1])
    top = np.argsort(-evidence, axis=1, kind="stable")[:, :k]
    clear = np.take_along_axis(evidence, top, axis=1) > 0.5
    return [" ".join(symbols[row[good]]) for row, good in zip(top, clear, strict=True)]
