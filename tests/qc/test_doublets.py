"""Doublets: found where they were planted, the same in any order of cells and genes, skipped with a reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from brainmet.core.counts import Counts
from brainmet.knowledge.cell_types import CellTypes, load_cell_types
from brainmet.qc import doublets
from brainmet.qc.doublets import (
    Cells,
    DoubletOptions,
    Doublets,
    artificial_doublets,
    find_doublets,
    log_normalised,
    marker_sets,
    most,
    posterior,
    principal_components,
    provisional_classes,
)
from sklearn.metrics import roc_auc_score


@pytest.fixture(scope="module")
def types(home: Any) -> CellTypes:
    return load_cell_types([home / "resources/markers/markers.yaml"])


@pytest.fixture
def config(home: Any, types: CellTypes) -> dict[str, Any]:
    """The defaults: fields of the options, and the other arguments of the search."""
    section = yaml.safe_load((home / "config" / "config.yaml").read_text())["qc"]
    return section["doublets"] | {"profile": "cells", "known_rate": None, "seed": section["seed"], "types": types}


def find(counts: Counts, passing: np.ndarray, **config: Any) -> Doublets:
    """The search with options and other arguments in one mapping."""
    fields = DoubletOptions.__dataclass_fields__
    options = DoubletOptions(**{name: config[name] for name in fields})
    others = {name: value for name, value in config.items() if name not in fields}
    return find_doublets(counts, passing, options, **others)


def planted(n: int = 270, doublets: int = 25, genes: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three types and pairs of two of them."""
    rng = np.random.default_rng(seed)
    profiles = rng.gamma(0.3, 1, (3, genes))
    types = np.arange(n + doublets) % 3
    X = rng.poisson(profiles[types] * rng.lognormal(0, 0.2, (n + doublets, 1)) * 3)
    X[n:] += rng.poisson(profiles[(types[n:] + 1) % 3] * 3)
    return X, np.arange(n + doublets) >= n


def test_a_series_without_doublets_is_not_searched(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, _ = planted()
    found = find(make_counts(X), np.ones(len(X), bool), **config | {"known_rate": 0})
    assert found.skipped == "none left, as the dataset file says (doublet_rate: 0)"
    assert not found.called.any() and np.isnan(found.score).all()


def test_planted_doublets_are_found_in_any_order(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, truth = planted()
    config["known_rate"] = 0.09
    found = find(make_counts(X), np.ones(len(X), bool), **config)
    assert roc_auc_score(truth, found.score) > 0.95
    assert found.called[truth].mean() > 0.6 and found.called[~truth].mean() < 0.1

    rng = np.random.default_rng(1)
    cells, genes = rng.permutation(len(X)), rng.permutation(X.shape[1])
    counts = make_counts(X[cells][:, genes], sample="T")
    counts.cells.index, counts.genes.index = make_ids("S:c", cells), make_ids("ENSG", genes)
    counts_again = find(counts, np.ones(len(X), bool), **config)
    first = make_counts(X, sample="U")
    first.cells.index, first.genes.index = make_ids("S:c", np.arange(len(X))), make_ids("ENSG", np.arange(X.shape[1]))
    np.testing.assert_array_equal(find(first, np.ones(len(X), bool), **config).score[cells], counts_again.score)


def test_nearby_lists_and_components_of_some_cells_find_as_many_doublets(
    make_counts: Callable[..., Counts], config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, truth = planted(n=1500, doublets=130)
    counts = make_counts(X)
    exact = find(counts, np.ones(len(X), bool), **config).score
    monkeypatch.setattr(doublets, "EXACT_BELOW", 500)
    monkeypatch.setattr(doublets, "LISTS", 2)
    by_lists = find(counts, np.ones(len(X), bool), **config).score
    monkeypatch.setattr(doublets, "OF_AXES", 500)
    both = find(counts, np.ones(len(X), bool), **config).score
    assert not np.array_equal(exact, by_lists) and not np.array_equal(by_lists, both)
    assert min(roc_auc_score(truth, by_lists), roc_auc_score(truth, both)) > roc_auc_score(truth, exact) - 0.01


def make_ids(prefix: str, numbers: np.ndarray) -> Any:
    return pd.Index([f"{prefix}{number:05d}" for number in numbers], dtype=object)


def test_barcodes_that_failed_are_not_looked_at(make_counts: Callable[..., Counts], config: dict[str, Any]) -> None:
    X, _ = planted(150, 10)
    passing = np.arange(160) >= 20
    found = find(make_counts(X), passing, **config)
    assert np.isnan(found.score[:20]).all() and np.isfinite(found.score[20:]).all()
    assert not found.called[:20].any()


@pytest.mark.parametrize(
    ("profile", "values", "n", "reason"),
    [
        ("plates", "counts", 60, "one cell per well"),
        ("cells", "expected_counts", 60, "values are expected_counts"),
        ("cells", "counts", 20, "20 cells, fewer than 50"),
    ],
)
def test_skipped_with_a_reason(
    make_counts: Callable[..., Counts], config: dict[str, Any], profile: str, values: str, n: int, reason: str
) -> None:
    counts = make_counts(np.ones((n, 30)), uns={"values": values})
    found = find(counts, np.ones(n, bool), **config | {"profile": profile})
    assert found.skipped == reason and np.isnan(found.score).all() and not found.called.any()


def test_components_equal_those_of_a_dense_decomposition() -> None:
    X, _ = planted(80, 5)
    cells = Cells(sp.csr_matrix(X, dtype=np.float32), X.sum(axis=1))
    mean, axes = principal_components(log_normalised(cells), 5)
    logs = np.log1p(X / X.sum(axis=1, keepdims=True) * 1e4)
    _, _, expected = np.linalg.svd(logs - logs.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(mean, logs.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.abs(axes.T @ expected[:5].T), np.eye(5), atol=1e-3)


def test_unlike_cells_are_joined_by_the_square_of_their_distance() -> None:
    """Three kinds at 0, 1 and 5, each with a gene of its own: pairs go as 1, 16 and 25, and none joins two of one."""
    kind = np.repeat([0, 1, 2], 40)
    cells = Cells(sp.csr_matrix(np.eye(3, dtype=np.float32)[kind]), np.ones(120))
    one, rng = (np.zeros(120, int), np.ones(120, bool)), np.random.default_rng(0)
    made = artificial_doublets(cells, np.array([[0.0], [1.0], [5.0]])[kind], *one, rng)
    shown = made.X.toarray() > 0
    assert (made.total == 2).all() and (shown.sum(axis=1) == 2).all()
    np.testing.assert_allclose((~shown).mean(axis=0) * 42, [16, 25, 1], atol=2)

    alike = artificial_doublets(cells, np.zeros((120, 2)), *one, rng).X.toarray()
    assert len(alike) == 1_500
    np.testing.assert_allclose((alike == 2).any(axis=1).mean(), 39 / 119, atol=0.05)


def test_cells_of_one_class_are_not_joined() -> None:
    """Of three kinds the two that lie farthest apart are of one class."""
    kind = np.repeat([0, 1, 2], 40)
    cells = Cells(sp.csr_matrix(np.eye(3, dtype=np.float32)[kind]), np.ones(120))
    place, classes = np.array([[0.0], [1.0], [5.0]])[kind], np.array([0, 1, 0])[kind]
    single = np.ones(120, bool)
    shown = artificial_doublets(cells, place, classes, single, np.random.default_rng(0)).X.toarray() > 0
    assert shown[:, 1].all() and (shown.sum(axis=1) == 2).all()
    np.testing.assert_allclose(shown.mean(axis=0)[[0, 2]], [1 / 17, 16 / 17], atol=0.03)
    single[80:] = False
    shown = artificial_doublets(cells, place, classes, single, np.random.default_rng(0)).X.toarray() > 0
    assert shown[:, :2].all() and not shown[:, 2].any()


def test_provisional_classes_are_those_of_the_markers_around(types: CellTypes) -> None:
    """T cells and fibroblasts at few counts; the T cells' genes float everywhere, above the fibroblasts' own in these,
    and three cells show no marker."""
    rng, names = np.random.default_rng(0), ["t_cell", "fibroblast"]
    symbols = np.array(sorted({gene for name in names for gene in types[name].positive}), dtype=object)
    sets = marker_sets(pd.DataFrame({"symbol": symbols}, index=[f"E{i:03}" for i in range(len(symbols))]), types)
    kind = np.arange(100) % 2
    of_t, of_fibroblasts = (np.isin(symbols, types[name].positive) for name in names)
    rate = 0.5 * of_t + np.array([0.5 * of_t, 0.3 * of_fibroblasts])[kind]
    counts = rng.poisson(rate).astype(np.float32)
    counts[:3] = 0
    near = np.array([rng.choice(np.flatnonzero(kind == own), 15, replace=False) for own in kind])
    classes = provisional_classes(Cells(sp.csr_matrix(counts), np.full(100, 500.0)), sets, near)
    assert len(set(classes[kind == 0])) == len(set(classes[kind == 1])) == 1 and classes[0] != classes[1]

    unknown = marker_sets(pd.DataFrame({"symbol": ["G1", "G2"]}, index=["E1", "E2"]), types)
    none = Cells(sp.csr_matrix((100, 0), dtype=np.float32), np.ones(100))
    assert not provisional_classes(none, unknown, near).any()


def test_the_share_of_doublets_comes_from_the_scores() -> None:
    """Scores of 900 cells and 100 doublets, drawn as a classifier learned on equal shares would give them."""
    rng = np.random.default_rng(0)
    truth = np.arange(1_000) >= 900
    evidence = rng.normal(np.where(truth, 2.0, -2.0), 2.0)  # log odds of two normal distributions, each of variance 4
    score = 1 / (1 + np.exp(-evidence))
    calibrated = 1 / (1 + np.exp(-evidence) * 0.9 / 0.1)
    shares = []
    for expected in (0.01, 0.1, 0.2):
        found = posterior(score, 0.5, expected=expected)
        shares.append(found.mean())
        assert np.abs(found - calibrated).mean() < 0.04
    assert 0.05 < shares[0] < shares[1] < shares[2] < 0.12


def test_a_stated_rate_replaces_the_one_from_the_number_of_cells(
    make_counts: Callable[..., Counts], config: dict[str, Any]
) -> None:
    X, _ = planted()
    found = find(make_counts(X), np.ones(len(X), bool), **config | {"known_rate": 0.09})
    assert found.expected_rate == 0.09


def test_more_cells_than_a_full_run_are_several_runs(
    make_counts: Callable[..., Counts], config: dict[str, Any]
) -> None:
    """A matrix of a hundred thousand cells, as its rate would be without a limit: 80 % of it doublets."""
    X, truth = planted()
    found = find(make_counts(X), np.ones(len(X), bool), **config | {"rate_per_thousand": 0.8 * 1_000 / len(X)})
    assert found.expected_rate == config["max_rate"]
    assert found.called[truth].mean() > 0.6 and found.called[~truth].mean() < 0.1
    few = find(make_counts(X), np.ones(len(X), bool), **config)
    assert few.expected_rate == config["rate_per_thousand"] * len(X) / 1_000


def test_a_stated_rate_bounds_the_calls(
    make_counts: Callable[..., Counts], config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert [most(n, rate=rate) for n, rate in ((100, 0.0), (100, 0.01), (542, 0.08), (10, 1.0))] == [0, 4, 59, 10]
    X, _ = planted()
    counts, every = make_counts(X), np.ones(len(X), bool)
    free = find(counts, every, **config | {"known_rate": 0.09})
    bound = find(counts, every, **config | {"known_rate": 0.01})
    assert free.called.sum() > most(len(X), rate=0.01) == bound.called.sum() == 8
    assert bound.score[bound.called].min() >= bound.score[~bound.called & (bound.score > 0.5)].max()
    assert "look like doublets, more than 295 cells can hold" in caplog.text
