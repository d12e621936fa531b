"""Marker genes of each cell type, one against the rest, on pseudobulk: differences within a donor, donors as
replicates.

The rest is the mean of the donor's other types in log2 counts per million, so that an abundant type does not stand
for all.
"""

import logging

import numpy as np
import pandas as pd

from brainmet.compare.donor_scores import log_cpm
from brainmet.contract import LOG, UNKNOWN, Obs, Uns, Var
from brainmet.core.tables import empty
from brainmet.pseudobulk import Pseudobulk
from brainmet.stats import effects, student

log = logging.getLogger(__name__)


def markers(bulk: Pseudobulk, *, min_cells: int, min_counts: int, top: int) -> pd.DataFrame:
    """Rows of `markers.tsv`: the `top` genes of each type.

    Args:
        bulk: the cohort's pseudobulk.
        min_cells, min_counts: profiles with less are left out.
        top: genes per type, by the lower bound of the difference's interval (by the difference where two donors or
            fewer).
    """
    obs = bulk.obs
    usable = (obs[Obs.N_CELLS] >= min_cells) & (obs[Obs.TOTAL_COUNTS] >= min_counts) & (obs[Obs.CELL_TYPE] != UNKNOWN)
    usable &= obs[Uns.VALUES] != LOG
    rows = np.flatnonzero(usable.to_numpy())
    obs = obs.iloc[rows].reset_index(drop=True)
    counts = np.asarray(bulk.X[rows], float)
    measured = ~np.isnan(counts)
    # CPM over the genes a sample measures; an unmeasured gene stays NaN.
    values = np.where(measured, log_cpm(np.where(measured, counts, 0.0)), np.nan)
    changes = _changes(obs, values)
    blocks = [_test(cell_type, rows, bulk.var, top=top) for cell_type, rows in sorted(changes.items())]
    log.info("%d types with markers", len(blocks))
    return pd.concat(blocks, ignore_index=True) if blocks else empty("markers")


def _changes(obs: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray]:
    """By type: a donor's log2 CPM minus the mean of its other types, donors × genes. Samples of a donor are
    averaged."""
    found: dict[str, list[np.ndarray]] = {}
    for _, donor in obs.groupby([Obs.STUDY, Obs.DONOR], sort=True):
        per_sample: dict[str, list[np.ndarray]] = {}
        for _, sample in donor.groupby([Obs.SAMPLE, Obs.CONDITION], sort=True):
            if len(sample) < 2:
                continue
            here = values[sample.index]
            total = here.sum(axis=0)
            for row, cell_type in zip(here, sample[Obs.CELL_TYPE], strict=True):
                per_sample.setdefault(str(cell_type), []).append(row - (total - row) / (len(sample) - 1))
        for cell_type, parts in per_sample.items():
            found.setdefault(cell_type, []).append(np.mean(parts, axis=0))
    return {cell_type: np.array(parts) for cell_type, parts in found.items()}


def _test(cell_type: str, change: np.ndarray, genes: pd.DataFrame, *, top: int) -> pd.DataFrame:
    n = len(change)
    use = np.flatnonzero(~np.isnan(change).any(axis=0))
    change = change[:, use]
    mean = change.mean(axis=0)
    se = change.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(use), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * student.sf(np.abs(mean / se), n - 1) if n > 1 else np.full(len(use), np.nan)
    half = student.isf(effects.TAIL, max(n - 1, 1)) * se
    frame = pd.DataFrame(
        {
            "cell_type": cell_type,
            "ensembl_id": genes.index[use].to_numpy(object),
            "symbol": genes[Var.SYMBOL].to_numpy(object)[use],
            "log2_fold_change": mean,
            "ci_low": mean - half,
            "ci_high": mean + half,
            "p": p,
            "fdr": effects.fdr(p),
            "n_donors": n,
        }
    )
    by = "ci_low" if n > 2 else "log2_fold_change"
    frame = (
        frame[frame["log2_fold_change"] > 0]
        .sort_values([by, "ensembl_id"], ascending=[False, True], kind="stable")
        .head(top)
    )
    frame.insert(1, "rank", np.arange(1, len(frame) + 1))
    return frame
