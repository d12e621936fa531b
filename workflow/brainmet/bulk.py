"""Bulk cohorts: signatures between the conditions of paired tissue.

A profile is a mixture of cells: a difference here may be one of composition. It is shown beside what the tumour cells
say, with the estimator `bulk_paired`, and never pooled with it. Where the run's own single cells tell which genes mark
a cell type, the difference is also given at equal admixture: the change of a signature between a patient's two tissues
regressed on the changes of tumour, brain, stroma and immune content.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import GeneSet, Scoring, coverage_of, first_of_symbol, weights_of
from brainmet.compare.donors import described
from brainmet.contract import LOG, Obs, Uns, Var, is_malignant
from brainmet.core.counts import Counts
from brainmet.core.tables import columns
from brainmet.knowledge.cell_types import CellTypes, Named
from brainmet.pseudobulk import described as sample_described
from brainmet.stats import effects, student
from brainmet.stats.effects import Estimate

log = logging.getLogger(__name__)

BULK_PAIRED, BULK_UNPAIRED = "bulk_paired", "bulk_unpaired"
MEASURED = "tissue was measured, not tumour cells"
MIN_DONORS = 3
"""Donors that each condition of a cohort needs."""
SPARE = 4
"""Donors beyond the coefficients without which a difference at equal admixture is not given."""
N_MARKERS = 20
"""Markers per type, best first."""
NORMAL = {"brain": Named.NEUROGLIA, "stroma": Named.STROMA, "immune": Named.IMMUNE}
"""Kinds of normal tissue in a tumour's, by the lineage of their cells."""


class Tissue:
    """One bulk cohort: profiles of tissue, one value per donor and condition.

    Args:
        samples: profiles as cells, of one sample or of the several that a dataset has, such as one per profile, over
            the genes that all of them measure; logs are taken as they are, counts and TPM as log2 of counts per
            million.
        records: what is said of the samples, by id.
        scoring: of donors, as for cells; nothing is thinned.
    """

    def __init__(
        self, samples: Sequence[Counts], records: Mapping[str, Mapping[str, Any]], *, scoring: Scoring
    ) -> None:
        shared = reduce(pd.Index.intersection, (sample.genes.index for sample in samples[1:]), samples[0].genes.index)
        cells = pd.concat([sample.cells for sample in samples])
        self.scoring = scoring
        self.values = np.vstack([levels(sample)[:, sample.genes.index.get_indexer(shared)] for sample in samples])
        self.keys = [cells[Obs.CONDITION].to_numpy(), cells[Obs.DONOR].to_numpy()]
        self.study, self.dataset = cells[[Obs.STUDY, Obs.DATASET]].iloc[0]
        said = pd.DataFrame([sample_described(records[name]) for name in cells[Obs.SAMPLE]], cells.index)
        self.donors, _ = described(cells[[Obs.STUDY, Obs.DATASET, Obs.DONOR, Obs.CONDITION]].join(said))
        symbols = samples[0].genes.loc[shared, Var.SYMBOL]
        self.position = first_of_symbol(symbols)

    def scores(self, sets: Sequence[GeneSet]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Scores by condition and donor, and the coverage of the sets. Several profiles of a donor at one site are one
        replicate."""
        scoring = self.scoring
        seen = np.ones(self.values.shape[1], bool)
        coverage = coverage_of(
            sets, self.position, seen, min_genes=scoring.min_genes, min_coverage=scoring.min_coverage
        )
        scores = self.values @ weights_of(sets, self.position, self.values.mean(axis=0), scoring=scoring)
        scores[:, (coverage["reason"] != "").to_numpy()] = np.nan
        return pd.DataFrame(scores, columns=[s.id for s in sets]).groupby(self.keys, sort=True).mean(), coverage

    def sites(self, contrast: Contrast) -> list[str]:
        """Primary tumours of the donors that a contrast compares, sorted."""
        tumours = self.donors[Obs.CONDITION].isin(set(contrast.groups) - contrast.without_site)
        return sorted(set(self.donors.loc[tumours, "primary_site"]))

    def compare(self, scores: pd.DataFrame, contrast: Contrast, *, site: str) -> "Compared | None":
        """The difference of two conditions in donors of one primary tumour (`Contrast.eligible`); None with too few
        of them."""
        members, _ = contrast.eligible(self.donors, site=site)
        compared = scores[scores.index.isin(pd.MultiIndex.from_frame(members[[Obs.CONDITION, Obs.DONOR]]))]
        condition = compared.index.get_level_values(0)
        a, b = (compared[condition == group].droplevel(0) for group in contrast.groups)
        both = a.index.intersection(b.index)
        if len(both) >= MIN_DONORS:
            a, b = a.loc[both], b.loc[both]
            return Compared(BULK_PAIRED, effects.pairs(a.to_numpy(), b.to_numpy()), a, b)
        if min(len(a), len(b)) >= MIN_DONORS:
            return Compared(BULK_UNPAIRED, effects.two_groups(a.to_numpy(), b.to_numpy()), a, b)
        log.info("%s: %s, %s: %d and %d donors, too few", self.dataset, contrast.id, site, len(a), len(b))
        return None

    def admixture(self, markers: pd.DataFrame, types: CellTypes) -> pd.DataFrame:
        """Tumour, brain, stroma and immune content by condition and donor: the mean level of their types' markers."""
        best = markers[(markers["rank"] <= N_MARKERS) & markers["symbol"].isin(self.position)]
        tumour, lineage = best["cell_type"].map(is_malignant), best["cell_type"].map(types.lineage)
        content = {name: best.loc[~tumour & (lineage == of), "symbol"] for name, of in NORMAL.items()}
        content["tumour"] = best.loc[tumour, "symbol"]
        counted = pd.concat(content.values()).value_counts()
        # A gene that marks two kinds of tissue tells of neither.
        unshared = {
            name: [g for g in sorted(set(genes)) if counted[g] == genes.eq(g).sum()] for name, genes in content.items()
        }
        table = {
            name: self.values[:, [self.position[g] for g in genes]].mean(axis=1)
            for name, genes in unshared.items()
            if genes
        }
        return pd.DataFrame(table, index=range(len(self.values))).groupby(self.keys, sort=True).mean()


def tissues(samples: Iterable[Counts], records: Mapping[str, Mapping[str, Any]], *, scoring: Scoring) -> list[Tissue]:
    """Bulk samples as cohorts, one per dataset, study and kind of values; `records` are those of the samples by id."""
    cohorts: dict[tuple[str, ...], list[Counts]] = {}
    for sample in samples:
        key = (*sample.cells[[Obs.DATASET, Obs.STUDY]].iloc[0], str(sample.uns.get(Uns.VALUES)))
        cohorts.setdefault(key, []).append(sample)
    return [Tissue(cohort, records, scoring=scoring) for cohort in cohorts.values()]


@dataclass(frozen=True)
class Compared:
    """A difference of two conditions, and the scores of the donors that it rests on."""

    estimator: str
    found: Estimate
    a: pd.DataFrame
    b: pd.DataFrame

    def adjusted(self, admixture: pd.DataFrame, contrast: Contrast) -> tuple[np.ndarray, np.ndarray]:
        """Differences of pairs at equal admixture and their p: NaN for unpaired donors, or with too few pairs."""
        nothing = np.full(self.a.shape[1], np.nan)
        n, k = len(self.a), admixture.shape[1]
        if self.estimator != BULK_PAIRED or k == 0 or n < k + 1 + SPARE:
            return nothing, nothing
        change = admixture.loc[contrast.a].loc[self.a.index] - admixture.loc[contrast.b].loc[self.b.index]
        return intercept(np.column_stack([np.ones(n), change]), self.a.to_numpy() - self.b.to_numpy())


def intercept(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept of each column of y by least squares, and its two-sided p; the design's first column is 1."""
    inverse = np.linalg.pinv(design.T @ design)
    coefficient = inverse @ design.T @ y
    df = len(design) - np.linalg.matrix_rank(design)
    variance = ((y - design @ coefficient) ** 2).sum(axis=0) / df * inverse[0, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return coefficient[0], 2 * student.sf(np.abs(coefficient[0]) / np.sqrt(variance), df)


def bulk(
    samples: Iterable[Counts],
    sets: Sequence[GeneSet],
    contrasts: Sequence[Contrast],
    *,
    records: Mapping[str, Mapping[str, Any]],
    scoring: Scoring,
    types: CellTypes,
    markers: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Effects of every signature in every bulk cohort and contrast: the table `bulk`.

    Args:
        samples: of bulk tissue; those of a dataset and study are one cohort.
        sets: signatures.
        contrasts: a cohort without three donors of each condition and one primary tumour has no rows.
        records: of the samples, by id.
        scoring: of donors.
        types: the resource.
        markers: the run's own marker genes, for admixture; None where it holds no single cells.
    """
    blocks = []
    for tissue in tissues(samples, records, scoring=scoring):
        scores, coverage = tissue.scores(sets)
        admixture = tissue.admixture(markers, types) if markers is not None else pd.DataFrame()
        for contrast in (c for c in contrasts if not c.where):  # receptors of bulk profiles are not known
            for site in tissue.sites(contrast):
                if compared := tissue.compare(scores, contrast, site=site):
                    rows = _rows(tissue, compared, coverage, admixture, contrast)
                    blocks.append(rows.assign(primary_site=site))
    table = pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=columns("bulk"))
    table["fdr"] = np.nan
    for _, family in table.groupby(["study", "contrast", "primary_site"], sort=False):
        table.loc[family.index, "fdr"] = effects.fdr(family["p"].to_numpy(float))
    return table[columns("bulk")]


def _rows(
    tissue: Tissue, compared: Compared, coverage: pd.DataFrame, admixture: pd.DataFrame, contrast: Contrast
) -> pd.DataFrame:
    found = compared.found
    low, high = found.interval()
    difference, p = compared.adjusted(admixture, contrast)
    return pd.DataFrame(
        {
            "signature": coverage.index,
            "contrast": contrast.id,
            "estimator": compared.estimator,
            "study": tissue.study,
            "dataset": tissue.dataset,
            "effect": found.g,
            "ci_low": low,
            "ci_high": high,
            "difference": found.difference,
            "p": found.p,
            "n_a": found.n_a,
            "n_b": found.n_b,
            "coverage": coverage["coverage"].to_numpy(),
            "reason": coverage["reason"].to_numpy(),
            "difference_adjusted": difference,
            "p_adjusted": p,
            "admixture": ";".join(admixture.columns) if np.isfinite(difference).any() else "",
            "measured": MEASURED,
        }
    )


def levels(cohort: Counts) -> np.ndarray:
    """Profiles × genes on a log2 scale."""
    X = cohort.matrix().toarray().astype(np.float64)
    if cohort.uns[Uns.VALUES] == LOG:
        return X
    return np.log2((X + 0.5) / (X.sum(axis=1, keepdims=True) + 1) * 1e6)
