"""Copy number along the genome of each sample's groups of cells, in windows of genes: what a heat map shows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from brainmet.contract import UNKNOWN, Obs, Uns, Var, is_malignant
from brainmet.copy_number import gene_order, log_ratio, per_million, window_weights
from brainmet.core.tables import columns
from brainmet.knowledge.cell_types import CellTypes
from brainmet.pseudobulk import Pseudobulk

MALIGNANT = "malignant"
MIN_CPM = 20.0
"""Counts per million, in a group or in what it is compared with, from which a gene tells of its dosage."""


def cnv_windows(
    bulk: Pseudobulk, types: CellTypes, *, min_cells: int, min_genes: int, window: int, step: int
) -> pd.DataFrame:
    """Log2 ratio of each group to the sample's other normal lineages, in windows along the autosomes.

    Groups are the malignant cells and the lineages of the others, each against all other normal lineages of the donor's
    sample. A gene inside the range of these lineages adds nothing; the median window is the neutral one. An arm's gain
    or loss is called in `cnv_arms.tsv`; this is to look at. Human samples alone: chromosomes of a mouse are others.

    Args:
        bulk: the cohort's pseudobulk, counts by sample, donor and cell type; `organism` in obs, `symbol, chromosome,
            start, end` in var.
        types: the resource, for lineages.
        min_cells: cells that a group needs.
        min_genes: expressed genes below which nothing is said of a group.
        window, step: genes per window, and from one to the next.

    Returns:
        The columns of `cnv_windows.tsv`.
    """
    obs = bulk.obs.reset_index(drop=True)
    kind = obs[Obs.CELL_TYPE].astype(str)
    lineage = kind.map(lambda name: MALIGNANT if is_malignant(name) else types.lineage(name))
    usable = (lineage != UNKNOWN) & (obs[Uns.VALUES].astype(str) != "log") & (obs[Uns.ORGANISM] == "human")
    rows: list[tuple] = []
    for (sample, donor), part in obs[usable].groupby([Obs.SAMPLE, Obs.DONOR], sort=True, observed=True):
        group = lineage[part.index]
        names, cells = sorted(set(group)), part[Obs.N_CELLS].groupby(group).sum()
        names = [name for name in names if cells[name] >= min_cells]
        sums = np.array([np.asarray(bulk.X[part.index[group == name]], float).sum(axis=0) for name in names])
        normal = np.array([name != MALIGNANT for name in names], bool)
        for i, name in enumerate(names):
            others = normal & (np.arange(len(names)) != i)
            if not others.any():
                continue
            windows = _profile(sums[i], sums[others], bulk.var, min_genes=min_genes, window=window, step=step)
            rows += [(sample, donor, name, int(cells[name]), *row) for row in windows]
    return pd.DataFrame(rows, columns=columns("cnv_windows"))


def _profile(
    group: np.ndarray, others: np.ndarray, genes: pd.DataFrame, *, min_genes: int, window: int, step: int
) -> Iterator[tuple[str, int, int, int, float]]:
    """Chromosome, first and last base, genes and log2 ratio of every window of one group."""
    measured = ~np.isnan(group) & ~np.isnan(others).any(axis=0)
    counts, reference = np.where(measured, group, 0.0), np.where(measured, others, 0.0)
    expressed = np.maximum(per_million(counts[None, :])[0], per_million(reference).mean(axis=0)) >= MIN_CPM
    order = gene_order(genes, measured & expressed)
    if len(order.columns) < min_genes:
        return
    ratio, weight = log_ratio(counts[order.columns], reference[:, order.columns], size=MIN_CPM)
    weights = window_weights(order.chromosome, window=window, step=step).toarray() * weight[:, None]
    values = ratio @ weights / weights.sum(axis=0)
    values = (values - np.median(values)) / np.log(2)
    start, end = (genes[name].to_numpy()[order.columns] for name in (Var.START, Var.END))
    for column, value in enumerate(values):
        inside = np.flatnonzero(weights[:, column])
        yield order.chromosome[inside[0]], int(start[inside[0]]), int(end[inside].max()), len(inside), float(value)
