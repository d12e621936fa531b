"""How much of each cell's RNA is the sample's ambient RNA.

Cells of one lineage should not make the markers of another. What they carry of these, over what the sample's mean
profile would give them, is the share of their counts that floated in (the idea of SoupX, Young and Behjati 2020, doi
10.1093/gigascience/giaa151, without empty droplets). The sample's share is the median over its cells.
"""

import logging

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.annotate.marker_scores import scored, scores_of
from brainmet.annotate.markers import marker_counts
from brainmet.contract import Var
from brainmet.core.counts import Counts
from brainmet.knowledge.cell_types import CellTypes, gene_columns

SCOPE = "sample"
REQUIRES = ("counts", "cells", "markers", "types")
IN_WORDS = "the share of ambient RNA"
log = logging.getLogger(__name__)

MIN_SOURCE, RICH = 5, 3.0
"""Cells of a lineage, and times that its cells hold more of a gene than others, for it to be a source."""


def annotate(
    counts: Counts, cells: pd.DataFrame, markers: pd.DataFrame, *, types: CellTypes, min_expected: float
) -> pd.DataFrame:
    """Ambient share of each kept cell and of the sample.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        markers: evidence of the method `markers`.
        types: the resource.
        min_expected: foreign counts expected at a share of one, below which a cell's share is NaN.

    Returns:
        Index cell id; `ambient_share` (float32, 0 to 1, NaN where too little is expected), `sample_ambient_share`.
    """
    keep = counts.kept(cells)
    symbols = counts.genes[Var.SYMBOL].to_numpy()
    candidates = scored(markers, types.decided("broad"))
    scores = scores_of(markers, candidates)
    lineages = sorted({types.lineage(name) for name in candidates})
    lineage = np.array([lineages.index(types.lineage(name)) for name in candidates])[scores.argmax(axis=1)]
    columns, foreign = _foreign_genes(types, candidates, lineages, symbols)
    X, total, profile = marker_counts(counts, keep, columns)
    foreign = foreign * _sourced(X, total, lineage, lineages)
    # Genes made by a cell's own lineage are no measure of what floated in.
    observed = np.asarray((X @ foreign.T)[np.arange(len(lineage)), lineage]).ravel()
    expected = total * (foreign @ profile)[lineage]
    share = np.divide(observed, expected, out=np.full(len(lineage), np.nan), where=expected >= min_expected)
    share = np.clip(share, 0, 1)
    typical = float(np.nanmedian(share)) if np.isfinite(share).any() else np.nan
    log.info("ambient share of the sample: %.3g (median of %d cells)", typical, int(np.isfinite(share).sum()))
    values = {
        "ambient_share": share.astype(np.float32),
        "sample_ambient_share": np.full(len(lineage), typical, np.float32),
    }
    return pd.DataFrame(values, index=counts.cells.index[keep])


def _sourced(X: sp.csr_matrix, total: np.ndarray, lineage: np.ndarray, lineages: list[str]) -> np.ndarray:
    """By lineage and gene, whether the sample holds the gene's source: another lineage whose cells are rich in it.

    Without its source a gene that is in every cell is no ambient RNA: blood cells alone say nothing of their soup.
    """
    member = np.array([lineage == i for i in range(len(lineages))], dtype=float)
    rate = np.asarray((X.T @ member.T).T) / np.maximum(member @ total, 1.0)[:, None]
    many = member.sum(axis=1) >= MIN_SOURCE
    best = np.where(many[:, None], rate, 0.0).max(axis=0)
    return (best[None, :] > RICH * rate) & (best > 0)[None, :]


def _foreign_genes(
    types: CellTypes, candidates: list[str], lineages: list[str], symbols: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of marker genes, and by lineage which of them only other lineages make."""
    makers = {
        name: {g for c in types.entries.values() if types.lineage(c.id) == name for g in c.positive}
        for name in lineages
    }
    markers = {gene for name in candidates for gene in types[name].positive}
    columns = gene_columns(symbols, markers)
    genes = symbols[columns]
    return columns, np.array([[gene not in makers[name] for gene in genes] for name in lineages], dtype=float)
