"""Copy-number burden of tumours in a form that can be compared between tissues.

Arms called against a sample's own normal cells depend on what these cells are: brain and breast differ in them, and so
do the calls. Here all tumours of a comparison are read against the same normal types, those found in every condition
compared, and at one depth. What tumour cells and normal types express differently moves arms too; it does so in all
tumours alike, so that it costs power and makes no difference. Human samples alone: genes of a mouse bear human names,
but lie on other chromosomes.
"""

import numpy as np
import pandas as pd

from brainmet.compare.donor_scores import thin
from brainmet.compare.donors import Profiles
from brainmet.contract import UNKNOWN, Obs, Uns, is_malignant
from brainmet.copy_number import arm_shift, gene_order, log_ratio, per_million
from brainmet.pseudobulk import Pseudobulk

MIN_COUNTS = 20_000
"""Counts that a tumour needs: at five per gene, arms of a hundred genes are known to about 0.1."""
MIN_CPM = 20.0
"""Counts per million, in the tumours and in the normal types, from which a gene tells of its arm's dosage."""
MIN_GENES = 20
"""Genes that an arm needs."""


def burden(tumours: Profiles, normal: np.ndarray, genes: pd.DataFrame, *, seed: int) -> pd.Series:
    """Mean absolute shift of the chromosome arms of each tumour (log2), all at the depth of the shallowest.

    Args:
        tumours: donors to be compared with each other; those below `MIN_COUNTS`, or not human, are left out.
        normal: counts of the normal types, types × genes; each type counts alike.
        genes: `symbol, chromosome, start` by gene.
        seed: of the thinning.

    Returns:
        By profile; empty where fewer than two arms hold enough genes.
    """
    human = (tumours.donors[Uns.ORGANISM] == "human").to_numpy(bool)
    kept = tumours.take(human & (np.nan_to_num(tumours.counts).sum(axis=1) >= MIN_COUNTS))
    measured = kept.measured() & ~np.isnan(normal).any(axis=0)
    if not len(kept.donors) or not measured.any():
        return pd.Series(dtype=float)
    counts = thin(np.where(measured, kept.counts, 0.0), seed=seed)
    reference = per_million(np.where(measured, normal, 0.0)).mean(axis=0)
    use = measured & (per_million(counts).mean(axis=0) >= MIN_CPM) & (reference >= MIN_CPM)
    order = gene_order(genes, use)
    shifts = []
    for row in counts[:, order.columns]:
        ratio, _ = log_ratio(row, reference[None, order.columns], size=MIN_CPM / 2)
        # Genes weigh alike: weights by counts would let a few genes speak for an arm.
        shift = arm_shift(ratio, np.ones(len(ratio)), order.arm, min_genes=MIN_GENES)["shift"]
        shifts.append(float((shift - shift.median()).abs().mean()) / np.log(2) if len(shift) > 1 else np.nan)
    return pd.Series(shifts, kept.donors.index).dropna()


def shared_types(bulk: Pseudobulk, members: pd.DataFrame, *, min_cells: int) -> np.ndarray:
    """Counts of the normal types that every condition of these donors holds, types × genes; no row where there is none.

    Args:
        bulk: the cohort's pseudobulk.
        members: donors that are compared; `study, condition, organism`.
        min_cells: cells of a type that each condition needs.
    """
    obs, kinds = bulk.obs, bulk.obs[Obs.CELL_TYPE].astype(str)
    normal = ~kinds.map(is_malignant).astype(bool) & (kinds != UNKNOWN) & (obs[Uns.VALUES] != "log")
    normal &= obs[Uns.ORGANISM] == "human"
    members = members[members[Uns.ORGANISM] == "human"]
    compared = obs[Obs.STUDY].isin(members[Obs.STUDY]) & obs[Obs.CONDITION].isin(members[Obs.CONDITION])
    rows = (normal & compared).to_numpy()
    cells = obs[rows].pivot_table(
        index=Obs.CELL_TYPE, columns=Obs.CONDITION, values=Obs.N_CELLS, aggfunc="sum", fill_value=0, observed=True
    )
    shared = sorted(
        cells.index[(cells.reindex(columns=sorted(set(members[Obs.CONDITION])), fill_value=0) >= min_cells).all(axis=1)]
    )
    sums = [np.asarray(bulk.X[rows & (kinds == name).to_numpy()], float).sum(axis=0) for name in shared]
    return np.array(sums).reshape(len(shared), len(bulk.var))
