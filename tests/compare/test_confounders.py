"""Confounders: what explains a finding is named, what only differs between the groups is not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from brainmet.compare.confounders import _lost, explained_by, inner_slope
from brainmet.compare.contrasts import contrasts
from brainmet.compare.donor_scores import GeneSet
from brainmet.compare.donors import Cohort
from scipy import stats

from tests.compare_toy import CONTRAST, DESIGN, GENES, SCORING, SET, bulk

STRESS = GeneSet("dissociation_stress", tuple(GENES[200:220]))


def named(*, through_stress: bool, seed: int = 0, n: int = 8, others: Sequence[GeneSet] = ()) -> str:
    """A cohort whose metastases are more stressed; the signature rises with stress, or by itself. `others` rise in
    metastases too."""
    data = bulk({"s": (n, n), "t": (n, n)}, shift=0.0, seed=seed)
    rng = np.random.default_rng(seed)
    high = (data.obs["condition"] == "brain_metastasis").to_numpy()
    stress = {donor: rng.normal(0, 0.5) for donor in data.obs["donor"]}
    level = data.obs["donor"].map(stress).to_numpy() + 1.0 * high
    data.X[:, 200:220] *= 2.0 ** level[:, None]
    own = level if through_stress else 1.0 * high
    data.X[:, :20] *= 2.0 ** own[:, None]
    for s in others:
        data.X[:, [GENES.index(gene) for gene in s.up]] *= 4.0 ** high[:, None]
    data.X = np.rint(data.X)
    data.obs["er"] = "unknown"
    cohort = {"malignant": Cohort(data, {}, min_cells=10)["malignant"]}
    table = contrasts(cohort, [SET], [CONTRAST], design=DESIGN, scoring=SCORING)
    marks = explained_by(table, cohort, [SET], [STRESS, *others], [CONTRAST], design=DESIGN, scoring=SCORING)
    pooled = (table["study"] == "pooled").to_numpy()
    assert table.loc[pooled, "fdr"].item() < 0.05
    assert (marks[~pooled] == "").all()
    return str(marks[pooled].item())


def test_a_finding_that_follows_stress_from_donor_to_donor_is_marked() -> None:
    assert named(through_stress=True) == "dissociation_stress"


def test_a_finding_that_only_comes_with_stress_is_not() -> None:
    assert [named(through_stress=False, seed=seed) for seed in range(3)] == ["", "", ""]


def test_one_donor_of_unknown_receptor_leaves_the_others_to_tell() -> None:
    """A signature that follows the receptor of each donor; the receptor of one is not known."""
    rng = np.random.default_rng(0)
    data = bulk({"s": (10, 10)}, shift=0.0)
    high = (data.obs["condition"] == "brain_metastasis").to_numpy()
    number = data.obs["donor"].str.extract(r"(\d+)$")[0].astype(int).to_numpy()
    positive = np.where(high, number < 8, number < 2)
    level = 2.0 * positive + rng.normal(0, 0.5, len(data))
    data.X[:, :20] = np.rint(data.X[:, :20] * 2.0 ** level[:, None])
    data.obs["er"] = np.where(positive, "pos", "neg")
    data.obs.loc[data.obs["donor"] == "s_primary_0", "er"] = "unknown"
    cohort = {"malignant": Cohort(data, {}, min_cells=10)["malignant"]}
    table = contrasts(cohort, [SET], [CONTRAST], design=DESIGN, scoring=SCORING)
    marks = explained_by(table, cohort, [SET], [], [CONTRAST], design=DESIGN, scoring=SCORING)
    assert marks[table["study"] == "pooled"].item() == "er"
    strict = replace(DESIGN, alpha=1e-10)
    significant = table.assign(fdr=0.0)
    assert set(explained_by(significant, cohort, [SET], [], [CONTRAST], design=strict, scoring=SCORING)) == {""}


def test_one_of_many_confounders_marks_no_finding_by_chance() -> None:
    """Each of 13 confounders rises between the groups and goes with nothing inside them; 10 cohorts."""
    others = [GeneSet(f"set_{k}", tuple(GENES[220 + 5 * k : 225 + 5 * k])) for k in range(12)]
    marked = [named(through_stress=False, seed=seed, n=4, others=others) != "" for seed in range(10)]
    assert sum(marked) <= stats.binom.ppf(0.99, 10, 0.05)


def test_a_finding_that_is_gone_without_ambient_rna_is_marked() -> None:
    data = bulk({"s": (4, 4), "t": (4, 4)}, shift=1.0)
    cohort = {"malignant": Cohort(data, {}, min_cells=10)["malignant"]}
    clean = {"malignant": Cohort(bulk({"s": (4, 4), "t": (4, 4)}, shift=0.0), {}, min_cells=10)["malignant"]}
    for other, mark in ((clean, "ambient_rna"), (cohort, "")):
        table = contrasts(cohort, [SET], [CONTRAST], design=DESIGN, scoring=SCORING, clean=other)
        marks = explained_by(table, cohort, [SET], [], [CONTRAST], design=DESIGN, scoring=SCORING)
        assert marks[table["study"] == "pooled"].item() == mark
        flagged = table.loc[table["study"] == "pooled", "ambient_flag"].item()
        assert flagged == (table["ambient_max"].max() > 0.2)


def test_a_finding_that_keeps_its_size_is_not_lost_to_the_noise_of_subtraction() -> None:
    finding = {"effect": -3.9, "difference": -0.85, "fdr_clean": 0.3}
    assert not _lost(pd.Series(finding | {"effect_clean": -0.9, "difference_clean": -0.6}), 0.05)
    assert _lost(pd.Series(finding | {"effect_clean": -0.9, "difference_clean": -0.4}), 0.05)
    assert _lost(pd.Series(finding | {"effect_clean": 2.0, "difference_clean": 0.4, "fdr_clean": 0.01}), 0.05)
    assert not _lost(
        pd.Series(finding | {"effect_clean": np.nan, "difference_clean": np.nan, "fdr_clean": np.nan}), 0.05
    )


def test_the_inner_slope_is_that_of_a_model_with_groups() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], 7)
    x = rng.normal(size=21) + group
    y = 0.4 * x - 2.0 * group + rng.normal(size=21)
    model = sm.OLS(y, np.column_stack([x, pd.get_dummies(group).to_numpy(float)])).fit()
    slope, p = inner_slope(x, y, group)
    assert slope == pytest.approx(model.params[0])
    assert p == pytest.approx(model.pvalues[0])
