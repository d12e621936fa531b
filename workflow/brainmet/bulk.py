"""Bulk cohorts: signatures between the conditions of paired tissue.

A profile is a mixture of cells: a difference here may be one of composition. It is shown beside what the tumour cells
say, with the estimator `bulk_paired`, and never pooled with it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmet import effects
from brainmet.contract import Obs, Uns, Var
from brainmet.counts import Counts
from brainmet.donor_scores import GeneSet, Scoring, coverage_of, weights_of
from brainmet.tables import columns

log = logging.getLogger(__name__)

PAIRED, UNPAIRED = "bulk_paired", "bulk_unpaired"
FEWEST = 3


def bulk(
    cohorts: Sequence[Counts], sets: Sequence[GeneSet], contrasts: Sequence[Mapping[str, Any]], *, how: Scoring
) -> pd.DataFrame:
    """Effects of every signature in every bulk cohort and contrast: the table `bulk`.

    Args:
        cohorts: profiles as cells; logs are taken as they are, counts and TPM as log2 of counts a million.
        sets: signatures.
        contrasts: `id, a, b`; a cohort without three donors an arm has no rows.
        how: scoring of donors, as for cells; nothing is thinned.
    """
    rows = [row for cohort in cohorts for row in _cohort(cohort, sets, contrasts, how=how)]
    table = pd.DataFrame(rows, columns=[name for name in columns("bulk") if name != "fdr"])
    table["fdr"] = np.nan
    for _, own in table.groupby(["study", "contrast"], sort=False):
        table.loc[own.index, "fdr"] = effects.fdr(own["p"].to_numpy(float))
    return table[columns("bulk")]


def _cohort(
    cohort: Counts, sets: Sequence[GeneSet], contrasts: Sequence[Mapping[str, Any]], *, how: Scoring
) -> list[dict[str, Any]]:
    values = levels(cohort)
    position = {symbol: i for i, symbol in reversed(list(enumerate(cohort.genes[Var.SYMBOL])))}
    coverage = coverage_of(
        sets, position, np.ones(values.shape[1], bool), min_genes=how.min_genes, min_coverage=how.min_coverage
    )
    scores = values @ weights_of(sets, position, values.mean(axis=0), how=how)
    scores[:, (coverage["reason"] != "").to_numpy()] = np.nan
    # Several profiles of a donor at one site are one replicate.
    donors = pd.DataFrame(scores).groupby(
        [cohort.cells[Obs.CONDITION].to_numpy(), cohort.cells[Obs.DONOR].to_numpy()], sort=True
    )
    mean = donors.mean()
    rows: list[dict[str, Any]] = []
    for contrast in contrasts:
        arms = [
            mean.loc[arm] if arm in mean.index.get_level_values(0) else mean.iloc[:0].droplevel(0)
            for arm in (contrast["a"], contrast["b"])
        ]
        both = arms[0].index.intersection(arms[1].index)
        if len(both) >= FEWEST:
            estimator, found = PAIRED, effects.pairs(arms[0].loc[both].to_numpy(), arms[1].loc[both].to_numpy())
        elif min(map(len, arms)) >= FEWEST:
            estimator, found = UNPAIRED, effects.two_arms(arms[0].to_numpy(), arms[1].to_numpy())
        else:
            numbers = " and ".join(str(len(arm)) for arm in arms)
            log.info("%s: %s: %s donors, too few", cohort.path, contrast["id"], numbers)
            continue
        low, high = found.interval()
        first = cohort.cells.iloc[0]
        for i, gene_set in enumerate(sets):
            rows.append(
                {
                    "signature": gene_set.id,
                    "contrast": contrast["id"],
                    "estimator": estimator,
                    "study": first[Obs.STUDY],
                    "dataset": first[Obs.DATASET],
                    "effect": found.g[i],
                    "ci_low": low[i],
                    "ci_high": high[i],
                    "difference": found.difference[i],
                    "p": found.p[i],
                    "n_a": found.n_a,
                    "n_b": found.n_b,
                    "coverage": coverage["coverage"].iloc[i],
                    "reason": coverage["reason"].iloc[i],
                }
            )
    return rows


def levels(cohort: Counts) -> np.ndarray:
    """Profiles × genes on a log2 scale."""
    X = cohort.matrix().toarray().astype(np.float64)
    if cohort.uns[Uns.VALUES] == "log":
        return X
    return np.log2((X + 0.5) / (X.sum(axis=1, keepdims=True) + 1) * 1e6)
