"""Differential expression: pydeseq2 is asked rightly, and what cannot be asked says so."""

import numpy as np
import pandas as pd
import pytest
from brainmet.compare import de as stage
from brainmet.compare.de import ambient_shares
from brainmet.compare.donors import Cohort, Profiles
from brainmet.compare.estimators import pairing
from brainmet.core.tables import conform
from brainmet.errors import BrainmetError

from tests.compare_toy import CONTRAST, DESIGN, GENES, bulk


def run(data: object, compartments: tuple[str, ...] = ("malignant",)) -> pd.DataFrame:
    cohort = Cohort(data, {}, min_cells=10)  # type: ignore[arg-type]
    table = stage.expression(
        cohort, [CONTRAST], design=DESIGN, compartments=compartments, min_counts=1000, min_gene_counts=10
    )
    return conform(table, "de")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return run(bulk({"s": (4, 4), "t": (3, 3), "alone": (4, 0)}, shift=2.0))


def test_planted_genes_are_found_with_their_sign_and_size(table: pd.DataFrame) -> None:
    rows = table.set_index("symbol")
    planted = rows.reindex(GENES[:20]).dropna(subset="p")
    assert (planted["fdr"] < 0.05).mean() > 0.8
    assert planted["log2_fold_change"].median() == pytest.approx(1.6, abs=0.4)
    others = rows.drop(GENES[:20], errors="ignore")
    assert (others["fdr"] < 0.05).mean() < 0.1


def test_a_study_with_one_arm_is_not_in_the_model(table: pd.DataFrame) -> None:
    assert set(table["studies"]) == {"s;t"}
    assert set(table["n_a"]) == {7}


def paired(data: object, studies: str) -> object:
    """The donors of some studies sampled in both conditions; donors differ threefold, more than the groups do."""
    obs = data.obs  # type: ignore[attr-defined]
    number = obs["donor"].str.extract(r"(\d+)$")[0].astype(int).to_numpy()
    twice = obs["study"].isin(list(studies)).to_numpy()
    obs["donor"] = np.where(twice, obs["study"] + "_p" + number.astype(str), obs["donor"])
    level = np.exp(np.random.default_rng(0).normal(0, 1, (number.max() + 1, len(GENES))))
    data.X = np.rint(data.X * np.where(twice[:, None], level[number], 1.0))  # type: ignore[attr-defined]
    return data


def test_donors_of_both_groups_are_compared_with_themselves() -> None:
    data = paired(bulk({"s": (5, 5)}, shift=1.0), "s")
    table = run(data)
    assert set(table["design"]) == {"paired"} and set(table["reason"]) == {""}
    assert set(table["n_a"]) == set(table["n_b"]) == {5}
    rows = table.set_index("symbol")
    assert (rows.loc[rows.index.isin(GENES[:20]), "fdr"] < 0.05).mean() > 0.7
    assert (rows.loc[~rows.index.isin(GENES[:20]), "fdr"] < 0.05).mean() < 0.1
    data.obs["donor"] = data.obs["sample"]  # type: ignore[attr-defined]
    apart = run(data).set_index("symbol")
    assert set(apart["design"]) == {"unpaired"}
    assert (apart.loc[apart.index.isin(GENES[:20]), "fdr"] < 0.05).mean() < 0.2


def test_a_paired_study_stands_beside_others_in_one_model() -> None:
    cohort = Cohort(paired(bulk({"s": (4, 4), "t": (3, 3)}, shift=2.0), "s"), {}, min_cells=10)  # type: ignore[arg-type]
    donors = cohort["malignant"].donors
    is_a = (donors["condition"] == "brain_metastasis").to_numpy()
    matrix = stage.model(donors, is_a)
    assert matrix.columns.tolist() == ["intercept", "is_a", *(f"donor_s|s_p{i}" for i in (1, 2, 3)), "study_t"]
    assert matrix.drop(columns=["intercept", "is_a"]).sum().tolist() == [2, 2, 2, 6]
    stage.check_rank(matrix)
    assert pairing(donors.duplicated(["study", "donor"], keep=False)) == "mixed"


def test_too_few_pairs_count_in_one_arm_and_the_reason_says_so() -> None:
    data = bulk({"s": (3, 3)}, shift=1.0)
    data.obs["donor"] = data.obs["donor"].replace("s_primary_0", "s_brain_metastasis_0")
    reason = "not testable: no study has 3 donors of each condition with enough cells and counts on one platform"
    assert run(data).loc[0, "reason"] == f"{reason}; a donor of both counts in one alone, as fewer than 3 are"
    data.obs["donor"] = data.obs["sample"]
    data.obs["values"] = np.where(data.obs["sample"] == "s_primary_0", "tpm", "counts")
    few = "not testable: too few donors: 2 of primary; 3 of each are needed; 1 profiles are not counts"
    assert run(data).loc[0, "reason"] == few


def test_studies_of_one_arm_each_are_not_modelled_however_many() -> None:
    table = run(bulk({s: (3, 0) if s < "d" else (0, 3) for s in "abcxyz"}, shift=1.0))
    assert table.loc[0, "reason"].endswith("primary in x, y, z; both in one study are needed")


def test_values_that_are_no_counts_are_not_testable() -> None:
    row = run(bulk({"s": (4, 4)}, shift=1.0, values="expected_counts")).iloc[0]
    assert row["reason"] == "not testable: not counts (expected_counts)"
    assert row["symbol"] == ""


def test_what_is_missing_is_named() -> None:
    table = run(bulk({"s": (6, 0), "t": (0, 6)}, shift=1.0), compartments=("malignant", "microglia"))
    assert "study and condition coincide" in table.loc[0, "reason"]
    assert table.loc[1, "reason"] == "no cells of microglia"


def test_a_design_that_cannot_be_told_apart_names_the_column() -> None:
    design = pd.DataFrame({"intercept": 1.0, "is_a": [1.0, 1, 0, 0], "study_t": [0.0, 0, 1, 1]})
    with pytest.raises(BrainmetError, match="cannot separate study_t from intercept, is_a"):
        stage.check_rank(design)
    stage.check_rank(design.assign(study_t=np.array([0.0, 1, 0, 1])))


def test_dispersions_are_pydeseq2s() -> None:
    from brainmet.compare.dispersion import BatchInference, cox_reid, likelihood
    from pydeseq2.default_inference import DefaultInference

    rng = np.random.default_rng(0)
    design = np.c_[np.ones(14), np.repeat([1.0, 0.0], 7), np.tile([1.0, 0.0], 7)]
    mu = np.exp(rng.normal(4, 1, 60)) * np.exp(rng.normal(0, 0.3, (14, 1)))
    alpha = rng.uniform(0.02, 0.8, 60)
    counts = rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu)).astype(float)
    for prior in ({}, {"prior_disp_var": 0.5, "prior_reg": True}):
        given = (counts, design, mu, np.full(60, 0.2), 1e-8, 14.0)
        ours, _ = BatchInference(n_cpus=1).alpha_mle(*given, **prior)
        theirs, _ = DefaultInference(n_cpus=1).alpha_mle(*given, **prior)
        inside = (theirs > 1e-4) & (theirs < 13)
        np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-3)
        if not prior:
            loss = [likelihood(counts, mu, a) + 0.5 * cox_reid(design, mu, a) for a in (ours, theirs)]
            assert (loss[0] <= loss[1] + 1e-6).all()


def test_coefficients_are_pydeseq2s() -> None:
    """Genes seen in one group or in one donor only among them."""
    from brainmet.compare.dispersion import BatchInference
    from pydeseq2.default_inference import DefaultInference

    rng = np.random.default_rng(0)
    design = np.c_[np.ones(14), np.repeat([1.0, 0.0], 7), np.tile([1.0, 0.0], 7)]
    size, alpha = rng.uniform(0.5, 2, 14), rng.uniform(0.02, 0.8, 60)
    mu = size[:, None] * np.exp(rng.normal(3, 1.5, 60) + design[:, 1:2] * rng.normal(0, 1, 60))
    counts = rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu)).astype(float)
    counts[7:, 0], counts[:7, 1], counts[:, 2] = 0, 0, np.eye(14)[3] * 5_000
    given = (counts, size, design, alpha, 0.5, 1e-8)
    ours, theirs = (kind(n_cpus=1).irls(*given) for kind in (BatchInference, DefaultInference))
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-9)


def test_means_and_tests_are_pydeseq2s() -> None:
    from brainmet.compare.dispersion import BatchInference
    from pydeseq2.default_inference import DefaultInference

    rng = np.random.default_rng(0)
    design = np.c_[np.ones(14), np.repeat([1.0, 0.0], 7), np.tile([1.0, 0.0], 7)]
    size, alpha, lfc = rng.uniform(0.5, 2, 14), rng.uniform(0.02, 0.8, 60), rng.normal(0, 1, (60, 3))
    counts = rng.poisson(rng.uniform(0, 50, 60), (14, 60)).astype(float)
    mu = size[:, None] * np.exp(3 + design @ lfc.T)
    ours, theirs = (
        [
            kind(n_cpus=1).lin_reg_mu(counts, size, design[:, :2], 0.5),
            *kind(n_cpus=1).wald_test(design, alpha, lfc, mu, 1e-6 * np.eye(3), np.array([0.0, 1.0, 0.0]), 0.0),
        ]
        for kind in (BatchInference, DefaultInference)
    )
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9)


def test_genes_that_do_not_settle_are_left_to_pydeseq2(monkeypatch: pytest.MonkeyPatch) -> None:
    from brainmet.compare import dispersion
    from pydeseq2.default_inference import DefaultInference

    monkeypatch.setattr(dispersion, "ROUNDS", 2)
    counts = np.random.default_rng(0).negative_binomial(2, 0.02, (8, 5)).astype(float)
    given = (counts, np.ones(8), np.c_[np.ones(8), np.repeat([1.0, 0.0], 4)], np.full(5, 0.5), 0.5, 1e-8)
    ours, theirs = (kind(n_cpus=1).irls(*given) for kind in (dispersion.BatchInference, DefaultInference))
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, other)


def test_the_ambient_share_of_a_gene_is_its_largest_over_donors() -> None:
    raw = Cohort(bulk({"s": (2, 0)}, shift=0.0), {}, min_cells=10)["malignant"]
    counts = raw.counts.copy()
    counts[:, 0], counts[:, 1] = [100, 200], [3, 5]
    raw = Profiles(raw.donors, raw.symbols, counts)
    left = counts.copy()
    left[:, 0], left[:, 1] = [90, 100], [0, 0]
    share = ambient_shares(raw, Profiles(raw.donors, raw.symbols, left), min_counts=10)
    assert share.iloc[0] == 0.5
    assert np.isnan(share.iloc[1])  # too few counts to say
