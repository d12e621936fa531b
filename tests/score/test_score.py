"""Scores: equal to decoupler where it is defined, and its mean over gene orders where it is not."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.core.counts import Counts
from brainmet.knowledge.signatures import Signature, arms
from brainmet.score import aucell, cutoff, score, score_aucell, ulm

N_GENES = 300
SIGNATURES = [
    Signature("up_only", tuple(f"G{i}" for i in range(20)), (), {}),
    Signature("both", tuple(f"G{i}" for i in range(30, 45)), tuple(f"G{i}" for i in range(60, 68)), {}),
    Signature("overlap", tuple(f"G{i}" for i in range(10, 35)), ("G299",), {}),
    Signature("not_here", tuple(f"X{i}" for i in range(10)), (), {}),
]


@pytest.fixture
def matrix() -> sp.csr_matrix:
    rng = np.random.default_rng(0)
    return sp.csr_matrix(rng.poisson(rng.gamma(0.3, 2, N_GENES), (60, N_GENES)))


def kept(counts: Counts, keep: np.ndarray | None = None) -> pd.DataFrame:
    keep = np.ones(counts.shape[0], bool) if keep is None else keep
    return counts.cells.assign(keep=keep)


def network(*, weighted: bool) -> pd.DataFrame:
    rows = []
    for signature in SIGNATURES[:3]:
        for arm, genes, weight in (("u", signature.up, 1.0), ("d", signature.down, -1.0)):
            source = signature.id if weighted else f"{signature.id}|{arm}"
            rows += [(source, gene, weight if weighted else 1.0) for gene in genes]
    return pd.DataFrame(rows, columns=["source", "target", "weight"])


def reference_aucell(values: np.ndarray, symbols: list[str], n_up: int) -> np.ndarray:
    decoupler = pytest.importorskip("decoupler")
    scores = decoupler.mt.aucell(
        pd.DataFrame(values, columns=symbols), network(weighted=False), tmin=1, n_up=n_up, empty=False
    )
    scores = scores[0] if isinstance(scores, tuple) else scores
    return np.column_stack([scores[f"{s.id}|u"] - (scores[f"{s.id}|d"] if s.down else 0) for s in SIGNATURES[:3]])


def test_ulm_by_hand() -> None:
    values, weights = np.array([[3.0, 1.0, 0.0, 2.0]]), np.array([1.0, 0.0, -1.0, 0.0])
    r = np.corrcoef(values[0], weights)[0, 1]
    found = ulm(sp.csr_matrix(values), sp.csc_matrix(weights[:, None]))
    np.testing.assert_allclose(found, [[r * np.sqrt(2 / (1 - r**2))]])


def test_ulm_equals_decoupler(make_counts: Callable[..., Counts], matrix: sp.csr_matrix) -> None:
    decoupler = pytest.importorskip("decoupler")
    counts = make_counts(matrix)
    found, _ = score(counts, kept(counts), SIGNATURES, min_genes=5, min_coverage=0.4)
    dense = matrix.toarray() / matrix.sum(axis=1).A1[:, None] * 1e4
    frame = pd.DataFrame(np.log1p(dense), columns=counts.genes["symbol"].tolist(), index=counts.cells.index)
    expected, _ = decoupler.mt.ulm(frame, network(weighted=True), tmin=1, empty=False)
    np.testing.assert_allclose(found[expected.columns], expected, atol=1e-4)
    assert found["not_here"].isna().all()
    assert found.columns.tolist() == [signature.id for signature in SIGNATURES]


def test_only_kept_cells_are_scored_in_file_order(make_counts: Callable[..., Counts], matrix: sp.csr_matrix) -> None:
    counts = make_counts(matrix)
    keep = np.arange(60) % 3 == 0
    whole, _ = score(counts, kept(counts), SIGNATURES, min_genes=5, min_coverage=0.4)
    part, covered = score(counts, kept(counts, keep), SIGNATURES, min_genes=5, min_coverage=0.4)
    pd.testing.assert_frame_equal(part, whole[keep])
    assert covered.set_index("signature").loc["not_here", "reason"] == "0 of 10 genes measured, fewer than 5"


@pytest.mark.parametrize("n_up", [15, 200])
def test_aucell_equals_decoupler_without_ties(n_up: int) -> None:
    values = np.random.default_rng(1).permuted(np.tile(np.arange(1.0, N_GENES + 1), (10, 1)), axis=1)
    symbols = [f"G{i}" for i in range(N_GENES)]
    up, down = arms(SIGNATURES[:3], pd.DataFrame({"symbol": symbols}, index=symbols))
    found = aucell(sp.csr_matrix(values), up, down, cutoff=n_up)
    np.testing.assert_allclose(found, reference_aucell(values, symbols, n_up), atol=1e-12)


@pytest.mark.parametrize("n_orders", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_aucell_is_the_mean_over_orders_of_tied_genes(matrix: sp.csr_matrix, n_orders: int) -> None:
    symbols = [f"G{i}" for i in range(N_GENES)]
    up, down = arms(SIGNATURES[:3], pd.DataFrame({"symbol": symbols}, index=symbols))
    found = aucell(matrix[:6], up, down, cutoff=200)
    values, rng, draws = matrix[:6].toarray().astype(float), np.random.default_rng(2), []
    for _ in range(n_orders):
        order = rng.permutation(N_GENES)
        draws.append(reference_aucell(values[:, order], [symbols[i] for i in order], 200))
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert np.abs(np.mean(draws, axis=0) - found).max() < 5 * error.max()
    assert np.abs((np.mean(draws, axis=0) - found) / error).mean() < 1.2


def test_permuting_genes_or_cells_changes_nothing(make_counts: Callable[..., Counts], matrix: sp.csr_matrix) -> None:
    symbols, rng = [f"G{i}" for i in range(N_GENES)], np.random.default_rng(3)
    genes, cells = rng.permutation(N_GENES), rng.permutation(60)
    first = make_counts(matrix, symbols=symbols)
    second = make_counts(matrix[cells][:, genes], symbols=[symbols[i] for i in genes], sample="T")
    for method in ("ulm", "aucell"):
        tables = []
        for counts in (first, second):
            values, covered = score(counts, kept(counts), SIGNATURES, min_genes=5, min_coverage=0.4)
            if method == "aucell":
                values = score_aucell(counts, kept(counts), SIGNATURES, covered, cutoff=40)
            tables.append(values.to_numpy())
        np.testing.assert_allclose(tables[0][cells], tables[1], atol=1e-5)


def test_depth_alone_does_not_move_aucell(matrix: sp.csr_matrix) -> None:
    symbols = [f"G{i}" for i in range(N_GENES)]
    up, down = arms(SIGNATURES[:3], pd.DataFrame({"symbol": symbols}, index=symbols))
    np.testing.assert_allclose(aucell(matrix, up, down, cutoff=40), aucell(matrix * 7, up, down, cutoff=40))


def test_cutoff_is_the_smaller_of_both() -> None:
    shallow = cutoff(np.full(100, 50), [20_000, 30_000], top_share=0.05, detected_quantile=0.05).iloc[0]
    deep = cutoff(np.full(100, 5_000), [20_000, 30_000], top_share=0.05, detected_quantile=0.05).iloc[0]
    assert (shallow["cutoff"], shallow["top_share_of_genes"]) == (50, 1_000)
    assert deep["cutoff"] == 1_000


def test_logged_values_are_scored_on_the_same_scale(make_counts: Callable[..., Counts], matrix: sp.csr_matrix) -> None:
    counts = make_counts(matrix)
    scaled = sp.csr_matrix(matrix.toarray() / matrix.sum(axis=1).A1[:, None] * 1e5)
    logged = make_counts(scaled.log1p(), sample="L", uns={"values": "log"})
    first, _ = score(counts, kept(counts), SIGNATURES, min_genes=5, min_coverage=0.4)
    second, _ = score(logged, kept(logged), SIGNATURES, min_genes=5, min_coverage=0.4)
    np.testing.assert_allclose(first.to_numpy(), second.to_numpy(), atol=1e-4)
