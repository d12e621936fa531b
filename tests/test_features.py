"""Variable genes: equal to scanpy's on the same cells, by vote of the samples, with every exclusion named."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from brainmet.features import Selection, dispersions, features, informative, variable

GENES, CELLS, SAMPLES = 600, 120, 3
CHOICE = {
    "n_top": 80,
    "n_bins": 20,
    "min_genes_shared": 0,
    "min_fraction_samples": 0.9,
    "min_cells": 20,
    "min_cells_detected": 1,
    "exclude": [],
}


def cohort(seed: int = 0) -> list[sp.csr_matrix]:
    """Counts of three samples whose cells are of two types."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.3, 2, GENES)
    shift = np.where(rng.random(GENES) < 0.1, 6.0, 1.0)
    types = rng.random((SAMPLES, CELLS)) < 0.5
    return [sp.csr_matrix(rng.poisson(rate * np.where(t[:, None], shift, 1.0))) for t in types]


def normalised(X: sp.csr_matrix) -> np.ndarray:
    dense = X.toarray().astype(float)
    return dense / dense.sum(axis=1, keepdims=True) * 1e4


def moments(X: sp.csr_matrix) -> pd.DataFrame:
    scaled = normalised(X)
    return pd.DataFrame(
        {
            "ensembl_id": [f"ENSG{i:05d}" for i in range(X.shape[1])],
            "symbol": [f"G{i}" for i in range(X.shape[1])],
            "n_cells_kept": X.shape[0],
            "n_cells_detected": X.getnnz(axis=0),
            "mean_expm1": scaled.mean(axis=0),
            "var_expm1": scaled.var(axis=0, ddof=1),
        }
    )


def test_equals_scanpy() -> None:
    import scanpy as sc

    matrices = cohort()
    atlas = anndata.AnnData(np.log1p(np.vstack([normalised(X) for X in matrices])))
    atlas.obs["sample"] = pd.Categorical(np.repeat([f"s{i}" for i in range(SAMPLES)], CELLS))
    sc.pp.highly_variable_genes(atlas, flavor="seurat", n_top_genes=CHOICE["n_top"], batch_key="sample")
    found = features([moments(X) for X in matrices], Selection(**CHOICE))
    assert found["highly_variable"].sum() == CHOICE["n_top"]
    np.testing.assert_array_equal(found["highly_variable"], atlas.var["highly_variable"])
    np.testing.assert_array_equal(found["n_samples_variable"], atlas.var["highly_variable_nbatches"])
    candidates = (found["reason"] == "").to_numpy()
    np.testing.assert_allclose(found["dispersion"][candidates], atlas.var["dispersions_norm"][candidates], rtol=1e-5)


def test_dispersion_by_hand() -> None:
    # One bin: log(var / mean) is 0, log 2, log 4; mean log 2, standard deviation log 2.
    _, dispersion = dispersions(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 4.0]), n_bins=1)
    np.testing.assert_allclose(dispersion, [-1, 0, 1], atol=1e-12)


def test_a_gene_alone_in_its_bin_gets_one() -> None:
    _, dispersion = dispersions(np.array([1.0, 1.0, 100.0]), np.array([1.0, 2.0, 300.0]), n_bins=2)
    assert dispersion[2] == pytest.approx(1)


def test_order_of_genes_and_samples_changes_nothing() -> None:
    tables = [moments(X) for X in cohort()]
    shuffled = [table.sample(frac=1, random_state=3) for table in reversed(tables)]
    pd.testing.assert_frame_equal(features(tables, Selection(**CHOICE)), features(shuffled, Selection(**CHOICE)))


def test_genes_that_some_samples_lack() -> None:
    tables = [moments(X) for X in cohort()]
    tables[1] = tables[1].iloc[50:]
    strict = features(tables, Selection(**CHOICE)).set_index("ensembl_id")
    assert (strict["reason"].iloc[:50] == "not_measured_everywhere").all() and not strict["highly_variable"].iloc[
        :50
    ].any()
    assert strict["n_samples_measured"].iloc[:50].eq(2).all() and strict["n_samples_measured"].iloc[50:].eq(3).all()
    loose = features(tables, Selection(**CHOICE | {"min_genes_shared": GENES, "min_fraction_samples": 0.6}))
    assert "not_measured_everywhere" not in set(loose["reason"])


def test_exclusions_are_named() -> None:
    selection = Selection(**CHOICE | {"exclude": ["^G1$", "^G2"]})
    found = features([moments(X) for X in cohort()], selection).set_index("symbol")
    assert found["reason"][["G1", "G2", "G25"]].eq("excluded").all() and found["reason"]["G10"] == ""
    assert found["rank"]["G1"] == 0 and np.isnan(found["dispersion"]["G1"])
    rare = features([moments(X) for X in cohort()], Selection(**CHOICE | {"min_cells_detected": 200}))
    assert set(rare["reason"]) == {"", "too_few_cells"}


def test_small_samples_do_not_vote_unless_all_are_small() -> None:
    tables = [moments(X) for X in cohort()]
    tiny = moments(cohort(9)[0][:5])
    silent = features([*tables, tiny], Selection(**CHOICE))
    np.testing.assert_array_equal(silent["highly_variable"], features(tables, Selection(**CHOICE))["highly_variable"])
    assert features([tiny], Selection(**CHOICE))["highly_variable"].sum() == CHOICE["n_top"]


def test_variable_keeps_the_tables_order() -> None:
    found = features([moments(X) for X in cohort()], Selection(**CHOICE))
    genes = variable(found)
    assert len(genes) == CHOICE["n_top"] and list(genes) == sorted(genes)


def test_a_datasets_own_genes_and_markers_are_informative() -> None:
    tables = [moments(X) for X in cohort()]
    plain = features(tables, Selection(**CHOICE))
    np.testing.assert_array_equal(plain["informative"], plain["highly_variable"])
    found = features(
        tables, Selection(**CHOICE), datasets=["a"] * (len(tables) - 1) + ["b"], markers={"G10", "nothing"}
    )
    np.testing.assert_array_equal(found["highly_variable"], plain["highly_variable"])
    alone = variable(features(tables[-1:], Selection(**CHOICE)))
    shared = found.set_index("ensembl_id")
    assert shared["informative"][shared["highly_variable"]].all() and shared["informative"][alone].all()
    assert shared["informative"].sum() > shared["highly_variable"].sum()
    genes, variable_ = informative(found)
    assert list(genes[variable_]) == list(variable(found))
    assert found.set_index("symbol")["informative"]["G10"]


def test_a_dataset_of_too_few_cells_adds_nothing_and_stops_nothing() -> None:
    tables, choice = [moments(X) for X in cohort()], {**CHOICE, "min_cells_detected": 5}
    few = moments(cohort()[-1][:2])
    with pytest.raises(BrainmetError, match="share no gene that could be variable"):
        features([few], Selection(**choice))
    found = features([*tables, few], Selection(**choice), datasets=["a"] * len(tables) + ["b"])
    assert found["informative"].sum() >= found["highly_variable"].sum() > 0


def test_no_shared_gene_is_an_error() -> None:
    a, b = (moments(X) for X in cohort()[:2])
    b["ensembl_id"] = "MUS" + b["ensembl_id"]
    with pytest.raises(BrainmetError, match=r"share no gene.*not_measured_everywhere: 1200"):
        features([a, b], Selection(**CHOICE))
    with pytest.raises(BrainmetError, match="no sample is left"):
        features([], Selection(**CHOICE))
