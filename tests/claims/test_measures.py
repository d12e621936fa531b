"""Readouts beside expression, each against an independent computation."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from brainmet import bulk
from brainmet.claims import measures
from brainmet.claims.correlations import _partial, correlations
from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import GeneSet
from brainmet.compare.estimators import DonorValues
from brainmet.compare.one_group import enough, one_group
from brainmet.core.tables import conform
from brainmet.slice import Slice
from brainmet.stats import effects
from scipy import stats
from statsmodels.stats.power import TTestPower

from tests.compare_toy import DESIGN, donors

WHO = {"study": "s", "condition": "brain_metastasis", "platform": "10x cell"}
WITHIN = Contrast("within_brain_metastasis", "brain_metastasis")


def test_one_sample_is_scipys() -> None:
    x = np.random.default_rng(0).normal(0.4, 1, (9, 3))
    found = effects.one_sample(x)
    np.testing.assert_allclose(found.p, stats.ttest_1samp(x, 0).pvalue)
    cohens_d = x.mean(axis=0) / x.std(axis=0, ddof=1)
    np.testing.assert_allclose(found.g, cohens_d * (1 - 3 / (4 * 8 - 1)), rtol=2e-3)


def test_one_group_tests_donors_against_a_value_and_flips_signs() -> None:
    frame = donors({"s": (8, 0)})
    values = pd.DataFrame({"readout": np.random.default_rng(1).normal(0.5, 0.4, 8)}, frame.index)
    row = one_group(DonorValues.of_table(values), frame, WITHIN, against=0.1, design=DESIGN)
    assert row["p"] == pytest.approx(stats.ttest_1samp(values["readout"], 0.1).pvalue)
    assert row["difference"] == pytest.approx(values["readout"].mean() - 0.1)
    assert row["mde"] == pytest.approx(TTestPower().solve_power(nobs=8, alpha=0.05, power=DESIGN.power))
    change = values["readout"].to_numpy() - 0.1
    flips = np.array(np.meshgrid(*[[1, -1]] * 8)).reshape(8, -1).T @ change
    assert row["p_perm"] == pytest.approx((np.abs(flips) >= abs(change.sum()) - 1e-9).mean())
    few = one_group(DonorValues.of_table(values), frame.iloc[:2], WITHIN, against=0.1, design=DESIGN)
    assert few["estimator"] == "not_testable"
    assert "no study has 3 breast donors of brain_metastasis with a value; most in one study: 2" in few["reason"]


def test_few_donors_at_the_bound_of_a_rank_are_measured_and_not_tested() -> None:
    """Of three ranks that are -1 or 1 by chance all are equal in a quarter of draws, and p of a t test is nearly 0."""
    frame = donors({"s": (6, 0)})
    values = pd.DataFrame({"rank": [0.97, 0.98, 0.99, 0.98, 0.97, 0.99]}, frame.index)
    few, more = (
        one_group(DonorValues.of_table(values), f, WITHIN, against=0.0, design=DESIGN) for f in (frame[:5], frame)
    )
    assert few["p"] < 1e-6 and few["p_perm"] == 2 / 2**5 > DESIGN.alpha
    assert (few["estimator"], few["n_donors"]) == ("not_testable", 5) and few["effect"] > 50
    assert few["reason"] == "5 donors of brain_metastasis have a value; 6 are needed for their signs to settle it"
    assert more["estimator"] == "within" and more["p_perm"] == 2 / 2**6 < DESIGN.alpha
    assert enough(0.05) == 6 and enough(0.01) == 8


def test_partial_correlation_is_that_of_residuals() -> None:
    rng = np.random.default_rng(2)
    depth, cycle = rng.normal(size=200), rng.normal(size=200)
    a, b = depth + cycle + rng.normal(size=200), depth + rng.normal(size=200)
    design = sm.add_constant(np.column_stack([stats.rankdata(depth), stats.rankdata(cycle)]))
    residuals = [sm.OLS(stats.rankdata(x), design).fit().resid for x in (a, b)]
    expected = stats.pearsonr(*residuals).statistic
    assert _partial(a[:, None], b[:, None], [depth, cycle])[0] == pytest.approx(expected)
    assert np.isnan(_partial(np.ones((50, 1)), rng.normal(size=(50, 1)), [])[0])


@pytest.fixture
def cells() -> dict[str, object]:
    """Two programmes that exclude each other, in cells of very different depth; 200 further genes."""
    rng = np.random.default_rng(3)
    n, genes = 150, [f"A{i}" for i in range(10)] + [f"B{i}" for i in range(10)] + [f"R{i}" for i in range(200)]
    state = rng.normal(size=n)
    rate = np.exp(rng.normal(0.5, 0.5, len(genes)))[None] * np.ones((n, 1))
    rate[:, :10] *= np.exp(0.8 * state)[:, None]
    rate[:, 10:20] *= np.exp(-0.8 * state)[:, None]
    depth = np.exp(rng.normal(0, 0.8, n))
    counts = rng.poisson(rate * depth[:, None])
    ids = np.array([f"s:{i}" for i in range(n)], object)
    X = sp.csr_matrix(np.log1p(counts / counts.sum(axis=1, keepdims=True) * 300))
    annotation = pd.DataFrame({**WHO, "donor": "d", "cell_type": "malignant_epithelial"}, index=ids)
    return {
        "parts": [Slice(X, np.ones(len(genes), bool), ids, np.array(genes))],
        "annotation": annotation,
        "depth": pd.Series(counts.sum(axis=1), ids),
        "symbols": genes,
    }


def correlated(cells: dict[str, object], spec: dict[str, object], **changes: object) -> pd.Series:
    claim = {"id": "X", "compartment": "tumor", "readout": {"correlation": spec}}
    how = {"min_cells": 30, "min_genes": 5, "n_random": 100, "seed": 1} | changes
    sets = {"a": GeneSet("a", tuple(f"A{i}" for i in range(10))), "b": GeneSet("b", tuple(f"B{i}" for i in range(10)))}
    types = {"X": ["malignant_epithelial"]}
    table = correlations(claims=[claim], sets=sets, types_of=types, **cells, **how)  # type: ignore[arg-type]
    return conform(table, "correlations").iloc[0]


def test_programmes_that_exclude_each_other_stand_out_against_random_pairs(cells: dict[str, object]) -> None:
    row = correlated(cells, {"a": "a", "b": "b", "given": ["depth"]})
    assert row["rho"] < -0.5
    assert row["p_random"] < 0.02
    assert abs(row["z_random"]) < 0.15
    assert measures.correlation(pd.DataFrame([row]), "X", against_random=True).iloc[0] == row["z"] - row["z_random"]


def test_random_genes_do_not_correlate(cells: dict[str, object]) -> None:
    sides = {"a": [f"R{i}" for i in range(10)], "b": [f"R{i}" for i in range(10, 20)], "given": ["depth"]}
    assert correlated(cells, sides)["p_random"] > 0.05


def test_a_gene_of_both_sides_is_left_out_and_too_little_says_so(cells: dict[str, object]) -> None:
    shared = {"a": ["A0", "A1", "A2", "A3", "A4", "B0"], "b": ["B0", "B1", "B2", "B3", "B4"]}
    row = correlated(cells, shared)
    assert (row["n_genes_a"], row["n_genes_b"]) == (5, 4)
    assert row["reason"] == "5 and 4 genes of the two sides vary, 5 needed"
    assert correlated(cells, {"a": "a", "b": "b"}, min_cells=200)["reason"] == "150 cells, 200 needed"


def test_the_name_of_a_donor_decides_nothing(cells: dict[str, object]) -> None:
    row = correlated(cells, {"a": "a", "b": "b"})
    other = cells | {"annotation": cells["annotation"].assign(donor="z")}  # type: ignore[union-attr]
    pd.testing.assert_series_equal(correlated(other, {"a": "a", "b": "b"}), row.replace("d", "z"))


def test_cells_and_nuclei_of_a_donor_are_not_mixed(cells: dict[str, object]) -> None:
    """Nuclei in which the programmes are unrelated: the cells' correlation is what it is without them."""
    alone = correlated(cells, {"a": "a", "b": "b"})
    part, annotation = cells["parts"][0], cells["annotation"]  # type: ignore[index]
    X = part.X.copy().tolil()
    X[:, :10] = X[np.random.default_rng(0).permutation(X.shape[0]), :10]
    ids = np.array([f"n:{i}" for i in range(X.shape[0])], object)
    nuclei = Slice(X.tocsr(), part.measured, ids, part.genes)
    both = cells | {
        "parts": [part, nuclei],
        "annotation": pd.concat([annotation, annotation.set_axis(ids).assign(platform="10x nucleus")]),
        "depth": pd.concat([cells["depth"], cells["depth"].set_axis(ids)]),  # type: ignore[union-attr]
    }
    claim = {"id": "X", "compartment": "tumor", "readout": {"correlation": {"a": "a", "b": "b"}}}
    sets = {"a": GeneSet("a", tuple(f"A{i}" for i in range(10))), "b": GeneSet("b", tuple(f"B{i}" for i in range(10)))}
    how = {"min_cells": 30, "min_genes": 5, "n_random": 100, "seed": 1}
    types = {"X": ["malignant_epithelial"]}
    table = correlations(claims=[claim], sets=sets, types_of=types, **both, **how)  # type: ignore[arg-type]
    assert table["platform"].tolist() == ["10x cell", "10x nucleus"]
    pd.testing.assert_series_equal(table.iloc[0], alone, check_names=False)
    z = measures.correlation(table, "X", against_random=False)
    assert z.loc[("s", "d", "brain_metastasis", "10x cell")] < -0.5 < z.iloc[1]


def test_one_group_counts_a_donor_on_two_platforms_once_and_no_model_beside_patients() -> None:
    frame = donors({"s": (5, 0)})
    nuclei = frame.iloc[1:].assign(platform="10x nucleus").rename(index=lambda i: f"{i}|n")
    mice = donors({"m": (6, 0)}, organism="mouse", platform="10x cell mouse")
    both = pd.concat([frame, nuclei, mice])
    values = pd.DataFrame({"readout": np.random.default_rng(1).normal(0.5, 0.4, len(both))}, both.index)
    found = [one_group(DonorValues.of_table(values), f, WITHIN, against=0.1, design=DESIGN) for f in (frame, both)]
    pd.testing.assert_series_equal(*found)
    assert (found[0]["n_a"], found[0]["n_studies"], found[0]["studies"]) == (5, 1, "s")
    few = one_group(
        DonorValues.of_table(values), pd.concat([frame[:2], nuclei[:1]]), WITHIN, against=0.1, design=DESIGN
    )
    assert few["n_a"] == 2


def test_a_lead_is_of_the_least_over_the_best() -> None:
    rows = [("u", 0.01), ("v", 0.2), ("w", 0.6)]
    table = pd.DataFrame([{**WHO, "donor": "d", "axis": axis, "p": p, "magnitude_rank": p} for axis, p in rows])
    assert measures.crosstalk_lead(table, ["u", "v"], ["w"]).iloc[0] == pytest.approx(0.8 - 0.4)
    assert measures.crosstalk_lead(table, ["u", "absent"], ["w"]).empty
    assert measures.crosstalk_rank(table, ["u", "v", "w"]).iloc[0] == pytest.approx(0.2)


def test_similarity_is_spearmans() -> None:
    rng = np.random.default_rng(5)
    scores, others = pd.DataFrame(rng.normal(size=(3, 12))), pd.DataFrame(rng.normal(size=(4, 12)))
    expected = [stats.spearmanr(row, others.mean()).statistic for row in scores.to_numpy()]
    np.testing.assert_allclose(np.tanh(measures.similarity(scores, others)), expected)


def test_the_intercept_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(6)
    covariates, y = rng.normal(size=(20, 3)), rng.normal(0.5, 1, (20, 2))
    value, p = bulk.intercept(np.column_stack([np.ones(20), covariates]), y)
    for column in range(2):
        model = sm.OLS(y[:, column], sm.add_constant(covariates)).fit()
        assert value[column] == pytest.approx(model.params[0])
        assert p[column] == pytest.approx(model.pvalues[0])


def test_claims_of_one_compartment_are_read_in_the_cells_that_each_names(cells: dict[str, object]) -> None:
    """One claim reads both types of cells, one the first, and one asks for more cells of it than there are."""
    ids = cells["annotation"].index  # type: ignore[union-attr]
    kinds = np.where(np.arange(len(ids)) < 50, "a", "b")
    both = cells | {"annotation": cells["annotation"].assign(cell_type=kinds)}  # type: ignore[union-attr]
    spec = {"a": [f"A{i}" for i in range(10)], "b": [f"B{i}" for i in range(10)]}
    base = {"compartment": "tumor", "readout": {"correlation": spec}}
    claims = [base | {"id": "all"}, base | {"id": "some"}, base | {"id": "more", "min_cells": 60}]
    types = {"all": ["a", "b"], "some": ["a"], "more": ["a"]}
    how = {"min_cells": 30, "min_genes": 5, "n_random": 20, "seed": 1}
    table = correlations(claims=claims, sets={}, types_of=types, **both, **how)  # type: ignore[arg-type]
    rows = table.set_index("claim")
    assert rows["n_cells"].to_dict() == {"all": 150, "some": 50, "more": 50}
    assert rows["reason"].to_dict() == {"all": "", "some": "", "more": "50 cells, 60 needed"}
