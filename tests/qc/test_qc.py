"""QC: metrics equal to scanpy's, limits that adapt, a reason for every dropped barcode, moments equal to numpy's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from brainmet.core.counts import Counts
from brainmet.core.moments import gene_sums, moments
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.qc import TOP, _top_sum, collect, describe, gene_sets, metrics, profile_of, qc

SYMBOLS = ["MT-CO1", "MT-ND1", "HBA1", "HBEGF", "RPL3", "RPS6KA1", "RPSA"]


@pytest.fixture
def config(home: Any) -> dict[str, Any]:
    """The defaults, without doublets: small samples are skipped; what is judged after annotation is left out."""
    section = yaml.safe_load((home / "config" / "config.yaml").read_text())["qc"]
    section = {key: section[key] for key in ("n_mads", "profiles", "fixed", "doublets", "flag_dropped", "seed")}
    types = load_cell_types([home / "resources/markers/markers.yaml"])
    return section | {"types": types, "doublet_rate": None, "doublets": section["doublets"] | {"min_cells": 10_000}}


def sample(n: int = 200, genes: int = 600, *, depth: float = 3.0, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    X = rng.poisson(depth * rng.gamma(0.5, 1, genes) * rng.lognormal(0, 0.3, (n, 1)))
    return X, SYMBOLS + [f"G{i}" for i in range(genes - len(SYMBOLS))]


def test_metrics_equal_scanpy(make_counts: Callable[..., Counts]) -> None:
    import anndata
    import scanpy

    X, symbols = sample(60)
    X[5] = 0
    counts = make_counts(X, symbols=symbols)
    adata = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(gene_sets(counts.genes), index=symbols))
    expected, _ = scanpy.pp.calculate_qc_metrics(adata, qc_vars=["mt", "hb", "ribo"], percent_top=[50], log1p=False)
    found = metrics(counts)
    filled = np.arange(60) != 5
    for name in found:
        np.testing.assert_allclose(
            found.loc[filled, name], expected.loc[filled, name].astype(float), rtol=1e-5, err_msg=name
        )
    assert found.iloc[5][["pct_counts_mt", "pct_counts_in_top_50_genes"]].isna().all()


def test_the_highest_values_of_a_row_are_summed_whatever_lies_above_its_mean() -> None:
    rng = np.random.default_rng(0)
    skewed, even, few_high = rng.lognormal(0, 2, (20, 300)), np.ones((1, 300)), np.ones((1, 300))
    few_high[0, : TOP - 1] = 9
    X = np.vstack([skewed, even, few_high, np.eye(2, 300), np.zeros((1, 300))]).astype(np.float32)
    highest = np.sort(X, axis=1)[:, -TOP:].sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(_top_sum(sp.csr_matrix(X)), highest, rtol=1e-12)


def test_shares_of_logs_are_those_of_the_values_behind_the_logs(make_counts: Callable[..., Counts]) -> None:
    X, symbols = sample()
    plain = metrics(make_counts(X, symbols=symbols))
    logs = metrics(make_counts(np.log1p(X), symbols=symbols, uns={"values": "log"}))
    for name in ("pct_counts_mt", "pct_counts_hb", "pct_counts_ribo", "pct_counts_in_top_50_genes"):
        np.testing.assert_allclose(logs[name], plain[name], rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(logs["total_counts"], np.log1p(X).sum(axis=1), rtol=1e-5)


def test_gene_sets_leave_out_namesakes(make_counts: Callable[..., Counts]) -> None:
    names = ["MT-CO1", "HBA1", "HBEGF", "HBP1", "RPL10A", "RPL36AL", "RPS4Y1", "RPLP0", "RPS6KA1", "RPS19BP1", "MTOR"]
    masks = gene_sets(make_counts(np.eye(len(names)), symbols=names).genes)
    assert [n for n, m in zip(names, masks["hb"], strict=True) if m] == ["HBA1"]
    assert [n for n, m in zip(names, masks["ribo"], strict=True) if m] == ["RPL10A", "RPL36AL", "RPS4Y1", "RPLP0"]
    assert [n for n, m in zip(names, masks["mt"], strict=True) if m] == ["MT-CO1"]


def test_each_failure_has_its_reason(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, symbols = sample()
    X[:, :2] = 1
    X[0] = 0  # empty
    X[1, 20:] = 0  # next to nothing
    X[2, :2] = 2_000  # dying
    X[3] = X[3] * 40  # large: stays
    cells, _, summary = qc(make_counts(X, symbols=symbols), **config)
    assert cells["reason"].iloc[:4].tolist() == ["empty", "low_counts;low_genes", "high_mt", ""]
    assert cells["keep"].sum() > 190 and (cells["keep"] == cells["reason"].eq("")).all()
    row = summary.iloc[0]
    for code in ("empty", "low_counts", "low_genes", "high_mt", "doublet"):
        assert row[f"n_{code}"] == cells["reason"].str.split(";").apply(lambda codes, code=code: code in codes).sum()
    assert row["n_kept"] == cells["keep"].sum()
    assert row["doublet_skipped"] == f"{cells['keep'].sum()} cells, fewer than 10000"
    assert cells["doublet_score"].isna().all()


def test_shallow_samples_keep_their_cells(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, symbols = sample(300, 5_000, depth=0.12)
    cells, _, summary = qc(make_counts(X, symbols=symbols), **config)
    assert summary["median_genes"].iloc[0] < 400
    assert cells["keep"].mean() > 0.9


def test_fixed_limits_take_the_place_of_the_samples_own(
    make_counts: Callable[..., Counts], config: dict[str, Any]
) -> None:
    X, symbols = sample()
    X[:, :2] = 1
    X[0, :2] = 2_000
    counts = make_counts(X, symbols=symbols)
    own = qc(counts, **config)[2].iloc[0]
    depth, genes = np.sort(X.sum(axis=1))[20], np.sort((X > 0).sum(axis=1))[10]
    fixed = {"min_counts": depth, "min_genes": genes, "max_pct_mt": 100}
    cells, _, summary = qc(counts, **config | {"fixed": fixed})
    assert summary.iloc[0][list(fixed)].tolist() == list(fixed.values())
    expected = (cells["total_counts"] >= depth) & (cells["n_genes_by_counts"] >= genes)
    assert cells["keep"].tolist() == expected.tolist() and 10 < (~cells["keep"]).sum() < 40
    part = qc(counts, **config | {"fixed": {"min_counts": None, "min_genes": genes, "max_pct_mt": None}})[2].iloc[0]
    assert (
        part["min_genes"] == genes
        and part[["min_counts", "max_pct_mt"]].tolist() == own[["min_counts", "max_pct_mt"]].tolist()
    )
    # Barcodes below the profile's limit on genes enter no median; a fixed limit holds for them too.
    deep = {"profiles": {name: profile | {"min_genes": 1_000} for name, profile in config["profiles"].items()}}
    few = qc(counts, **config | deep | {"fixed": {"min_genes": 1, "max_pct_mt": 7}})[2].iloc[0]
    assert few["max_pct_mt"] == 7
    # What a sample does not measure has no limit.
    tpm = make_counts(X / X.sum(axis=1, keepdims=True) * 1e6, uns={"values": "tpm"}, sample="T")
    assert qc(tpm, **config | {"fixed": fixed})[2].iloc[0][["min_counts", "max_pct_mt"]].isna().all()


def test_empty_droplets_do_not_move_the_limits(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, symbols = sample(100)
    droplets = np.random.default_rng(1).poisson(0.02, (400, X.shape[1]))
    alone, _, first = qc(make_counts(X, symbols=symbols), **config)
    mixed, _, second = qc(make_counts(np.vstack([X, droplets]), symbols=symbols, sample="T"), **config)
    assert first["min_genes"].iloc[0] == second["min_genes"].iloc[0]
    assert mixed["keep"].iloc[:100].tolist() == alone["keep"].tolist() and not mixed["keep"].iloc[100:].any()
    assert "dropped, most for" in second["flag"].iloc[0]


def test_what_the_reader_warns_of_is_flagged(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, symbols = sample(60)
    counts = make_counts(X, symbols=symbols, uns={"caution": "every droplet"})
    assert qc(counts, **config)[2]["flag"].iloc[0] == "every droplet"


def test_without_mitochondrial_genes_nothing_is_dropped_for_them(
    make_counts: Callable[..., Counts], config: dict[str, Any]
) -> None:
    X, _ = sample()
    cells, _, summary = qc(make_counts(X), **config)
    assert cells["pct_counts_mt"].isna().all() and cells["keep"].mean() > 0.95
    assert np.isnan(summary["max_pct_mt"].iloc[0])


def test_logged_values_have_no_limit_on_counts(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, symbols = sample()
    _, _, summary = qc(make_counts(np.log1p(X), symbols=symbols, uns={"values": "log"}), **config)
    assert np.isnan(summary["min_counts"].iloc[0])


def test_tpm_have_no_limit_on_counts(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    """Transcripts of unknown genes are lost, so totals lie a little below a million: no cell is shallow for that."""
    rng = np.random.default_rng(0)
    X, symbols = sample(100)
    X = X / X.sum(axis=1, keepdims=True) * rng.normal(0.985, 0.003, (100, 1)) * 1e6
    X[0] *= 0.965 / 0.985
    cells, _, summary = qc(make_counts(X, symbols=symbols, uns={"values": "tpm"}), **config)
    assert cells["reason"].iloc[0] == "" and np.isnan(summary["min_counts"].iloc[0])


def test_profiles_follow_technology_and_suspension() -> None:
    assert profile_of("10x_3prime", "cell") == "cells"
    assert profile_of("10x_3prime", "nucleus") == "nuclei"
    assert profile_of("smartseq", "cell") == "plates"
    assert profile_of("unknown", "unknown") == "cells"


@pytest.mark.parametrize("fill", [0, 1])
def test_a_sample_in_which_nothing_passes_is_an_error(
    make_counts: Callable[..., Counts], config: dict[str, Any], fill: int
) -> None:
    X = np.zeros((20, 50))
    X[:, :3] = fill
    message = "none of 20 barcodes passes .*lower qc.profiles" if fill else "holds no counts"
    with pytest.raises(BrainmetError, match=message):
        qc(make_counts(X), **config)


def test_moments_equal_numpy(make_counts: Callable[..., Counts]) -> None:
    X, symbols = sample(50)
    keep = np.arange(50) % 4 != 0
    table = moments(make_counts(X, symbols=symbols), keep)
    scaled = X[keep] / X[keep].sum(axis=1, keepdims=True) * 1e4
    np.testing.assert_allclose(table["mean"], np.log1p(scaled).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(table["var"], np.log1p(scaled).var(axis=0, ddof=1), atol=1e-10)
    np.testing.assert_allclose(table["mean_expm1"], scaled.mean(axis=0))
    np.testing.assert_allclose(table["var_expm1"], scaled.var(axis=0, ddof=1), rtol=1e-8, atol=1e-8)
    assert table["n_cells_detected"].tolist() == (X[keep] > 0).sum(axis=0).tolist()
    assert table["sum_counts"].tolist() == X[keep].sum(axis=0).tolist()


def test_moments_are_the_same_when_sums_over_some_cells_were_taken_away(make_counts: Callable[..., Counts]) -> None:
    X, symbols = sample(50)
    X[:40, -1] = 0  # Only cells that are taken away show the last gene.
    keep = np.arange(50) < 40
    counts = make_counts(X, symbols=symbols)
    rest = gene_sums(counts, np.ones(50, bool)) - gene_sums(counts, ~keep)
    found, expected = moments(counts, keep, rest), moments(counts, keep)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-12)
    assert found.iloc[-1][["mean", "var"]].tolist() == [0, 0]


def test_tables_of_the_cohort_list_excluded_samples(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, symbols = sample()
    cells, _, summary = qc(make_counts(X, symbols=symbols), **config)
    table = collect([summary], excluded=["BAD"])
    assert table[["sample", "status"]].values.tolist() == [["BAD", "excluded"], ["S", "kept"]]
    record = {
        "dataset": "D",
        "study": "D",
        "technology": "10x_3prime",
        "her2": 0,
        "simulated": False,
        "values": "unknown",
    }
    described = describe({"S": record}, {"S": cells[["donor", "condition"]]}, table)
    assert described.iloc[0][["donor", "condition", "her2", "er", "n_barcodes"]].tolist() == [
        "S",
        "primary",
        "0",
        "unknown",
        200,
    ]
    assert described["values"].tolist() == ["counts"], "what the matrix holds, where its dataset file says nothing"


def test_real_shallow_tumour_keeps_its_cells(
    real_data: Any, make_counts: Callable[..., Counts], config: dict[str, Any]
) -> None:
    import scipy.io

    folder, prefix = real_data / "GSE176078", "GSM5354528_CID4465_"
    X = scipy.io.mmread(folder / f"{prefix}matrix.mtx.gz").T.tocsr()
    symbols = pd.read_csv(folder / f"{prefix}features.tsv.gz", sep="\t", header=None)[0].tolist()
    cells, _, _ = qc(make_counts(X, symbols=symbols), **config)
    assert cells["keep"].mean() > 0.9
