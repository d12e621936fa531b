"""Composition: shares of cell types per donor, as centred log-ratios, contrasted like any donor value.

Shares sum to one, so one type's rise is every other's fall; log-ratios to the mean of all types take that out. Donors
are read at the number of cells of the smallest among them: half a cell added to a rare type says less the more cells
there are, and the group with more cells would lack its rare types less. Only unenriched samples say anything about
shares: sorting decides them otherwise.

Source: Aitchison 1982 J R Stat Soc B 44:139 (centred log-ratio).
"""

import logging
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from brainmet.compare import compare
from brainmet.compare.contrast import ANY_SITE, Contrast
from brainmet.compare.donor_scores import thinned_log_cpm
from brainmet.compare.donors import described
from brainmet.compare.estimators import NESTED, POOLED, TRANSFER, WITHIN, Design, DonorValues
from brainmet.contract import BULK, UNKNOWN, Obs, Uns
from brainmet.core.tables import columns, empty
from brainmet.stats import effects

log = logging.getLogger(__name__)

UNENRICHED = "none"


def cells_of(obs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells by donor and type, and the donors, of unenriched samples.

    Args:
        obs: rows of the cohort's pseudobulk: `cell_type, n_cells` and what describes a donor (`donors.described`).

    Returns:
        donors × types (int), and the donors with the same index. Cells called `unknown` are not counted.
    """
    obs = obs[
        (obs["enrichment"].astype(str) == UNENRICHED) & (obs[Obs.CELL_TYPE] != UNKNOWN) & (obs[Uns.SUSPENSION] != BULK)
    ]
    donors, code = described(obs)
    cells = obs[Obs.N_CELLS].groupby([donors.index[code], obs[Obs.CELL_TYPE].to_numpy(str)]).sum().unstack(fill_value=0)
    return cells.reindex(donors.index).astype(np.int64), donors


def log_ratios(cells: pd.DataFrame) -> pd.DataFrame:
    """Centred log2-ratio of each type in donors that are compared, half a cell added to every count: the mean over
    all draws in which each cell is kept as often as leaves, on average, as many cells as the smallest donor has. The
    fewer those are, the smaller the difference of a rare type. NaN for types that none of the donors has."""
    found = cells.loc[:, (cells > 0).any()]
    logs = pd.DataFrame(thinned_log_cpm(found.to_numpy(float)), found.index, found.columns)
    return logs.sub(logs.mean(axis=1), axis=0).reindex(columns=cells.columns)


def share(cells: pd.DataFrame, of: Collection[str], among: Collection[str], *, min_cells: int) -> pd.DataFrame:
    """Cells of some types and the other cells among which they are, by donor; donors with fewer than `min_cells` among
    them are left out."""
    part = cells[[c for c in cells if c in set(of)]].sum(axis=1)
    whole = cells[[c for c in cells if c in set(among) | set(of)]].sum(axis=1)
    return pd.DataFrame({"part": part, "rest": whole - part})[whole >= min_cells]


def log_odds(parts: pd.DataFrame) -> pd.Series:
    """Log2 odds of a share, half a cell added, at the number of cells of the smallest donor (as `log_ratios`)."""
    logs = thinned_log_cpm(parts.to_numpy(float))
    return pd.Series(logs[:, 0] - logs[:, 1], parts.index)


def composition(obs: pd.DataFrame, contrasts: Sequence[Contrast], *, design: Design, min_cells: int) -> pd.DataFrame:
    """Rows of `composition.tsv`: every type, every contrast; effects are Hedges' g of log-ratios, differences in log2.

    Args:
        obs: rows of the cohort's pseudobulk.
        min_cells: donors with fewer cells are left out.
    """
    cells, donors = cells_of(obs)
    enough = cells.sum(axis=1) >= min_cells
    cells, donors = cells[enough], donors[enough]
    if not len(cells):
        log.info("no donor with %d cells from an unenriched sample: composition is not testable", min_cells)
        return empty("composition")
    shares = cells.div(cells.sum(axis=1), axis=0)
    values = DonorValues(cells.columns, lambda index: log_ratios(cells.loc[index]))
    blocks = []
    for contrast in contrasts:
        rows = compare(values, donors, contrast, design=design)
        compared, _ = contrast.eligible(donors, site=ANY_SITE)
        for side, group in zip("ab", contrast.groups, strict=True):
            chosen = compared.index[compared[Obs.CONDITION] == group]
            rows[f"share_{side}"] = rows["feature"].map(shares.loc[chosen].mean()) if len(chosen) else np.nan
        blocks.append(rows)
    return with_fdr(pd.concat(blocks, ignore_index=True).rename(columns={"feature": Obs.CELL_TYPE}))


def with_fdr(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the FDR over its deciding rows, all columns, sorted."""
    table = table.reindex(columns=columns("composition"))
    table["fdr"] = np.nan
    for estimators in ([WITHIN, NESTED], [TRANSFER]):
        judged = (table["study"] == POOLED) & table["estimator"].isin(estimators)
        table.loc[judged, "fdr"] = effects.fdr(table.loc[judged, "p"].to_numpy(float))
    keys = [Obs.CELL_TYPE, "contrast", "estimator", "primary_site", "study"]
    return table.sort_values(keys, kind="stable", ignore_index=True)
