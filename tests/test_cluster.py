"""Clusters: found where they are, the same in every run, at the resolution that the data support."""

import numpy as np
import pandas as pd
import pytest
from brainmet import cluster
from brainmet.cluster import (
    agreement,
    by_size,
    choose,
    clusters,
    grouped,
    label,
    leiden,
    link,
    shared_neighbors,
    stability,
)
from brainmet.core.neighbors import nearest

CHOICE = {"prune": 1 / 15, "n_iterations": 2, "seed": 1}


def groups(sizes: tuple[int, ...], spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = np.eye(len(sizes), 10) * 9
    return (centres[truth] + rng.normal(0, spread, (len(truth), 10))).astype(np.float32), truth


def names(n: int) -> np.ndarray:
    return np.array([f"s:c{i}" for i in range(n)], dtype=object)


def test_shared_neighbours_by_hand() -> None:
    # Hoods: {0,1,2} {1,0,2} {2,1,3} {3,2,1}.
    links, weights = shared_neighbors(np.array([[1, 2], [0, 2], [1, 3], [2, 1]]), prune=0)
    found = dict(zip(map(tuple, links.tolist()), weights, strict=True))
    assert found == {(0, 1): 1.0, (0, 2): 0.5, (1, 2): 0.5, (1, 3): 0.5, (2, 3): 1.0}
    links, _ = shared_neighbors(np.array([[1, 2], [0, 2], [1, 3], [2, 1]]), prune=0.6)
    assert links.tolist() == [[0, 1], [2, 3]]


def test_no_cell_loses_all_links() -> None:
    points = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    indices, _ = nearest(points, k=15, exact_below=1000, threads=1)
    every, strength = shared_neighbors(indices, prune=0)
    links, weights = shared_neighbors(indices, prune=0.6)
    strong = strength >= 0.6
    assert set(map(tuple, every[strong].tolist())) < set(map(tuple, links.tolist()))
    assert len(np.unique(every[strong])) < 400 == len(np.unique(links))
    sizes = link(links, weights, n=400).connected_components().sizes()
    assert min(sizes) >= 15
    # What came back is the strongest link of some cell or of a group that pruning had cut off: never more than groups.
    before = link(every[strong], strength[strong], n=400).connected_components()
    assert 0 < (weights < 0.6).sum() < len(before)
    alone = np.setdiff1d(np.arange(400), every[strong])
    best = [max(strength[(every == cell).any(axis=1)]) for cell in alone]
    assert [max(weights[(links == cell).any(axis=1)]) for cell in alone] == best


def test_groups_keep_modularity_and_lead_to_the_same_clusters(monkeypatch) -> None:
    points, truth = groups((700, 500, 300), spread=2.0)
    indices, _ = nearest(points, k=15, exact_below=2000, threads=1)
    graph = link(*shared_neighbors(indices, prune=1 / 15), n=1500)
    monkeypatch.setattr(cluster, "CELLS_A_GROUP", 100)
    of_cell, small = pair = grouped(graph, seed=1)
    labels = np.random.default_rng(0).integers(0, 4, small.vcount())
    assert 10 < small.vcount() < 300 and small.ecount() < graph.ecount() / 5
    assert small.modularity(labels.tolist(), weights="weight") == pytest.approx(
        graph.modularity(labels[of_cell].tolist(), weights="weight")
    )
    how = {"resolution": 0.3, "n_iterations": 2, "seed": 1}
    assert agreement(leiden(graph, groups=pair, **how), leiden(graph, **how)) > 0.97
    monkeypatch.setattr(cluster, "MANY", 1000)
    found = clusters(names(1500), indices, resolutions=[0.3], **CHOICE)
    assert agreement(found["leiden_0.3"].to_numpy(), truth) > 0.97
    assert found.equals(clusters(names(1500), indices, resolutions=[0.3], **CHOICE))


def test_finds_groups_and_names_them_by_size() -> None:
    points, truth = groups((60, 150, 90))
    indices, _ = nearest(points, k=15, exact_below=1000, threads=1)
    found = clusters(names(300), indices, resolutions=[0.5, 1], **CHOICE)
    assert list(found.columns) == ["leiden_0.5", "leiden_1"] and found.index.name == "cell_id"
    assert agreement(found["leiden_0.5"].to_numpy(str), truth) == 1
    assert found["leiden_0.5"].value_counts().to_dict() == {"0": 150, "1": 90, "2": 60}
    assert found.equals(clusters(names(300), indices, resolutions=[0.5, 1], **CHOICE))


def test_by_size_breaks_ties_by_first_cell() -> None:
    assert by_size(np.array([7, 3, 3, 7, 5, 5, 5])).tolist() == [1, 2, 2, 1, 0, 0, 0]


def test_agreement_equals_the_reference() -> None:
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 200), rng.integers(0, 4, 200)
    assert agreement(a, b) == pytest.approx(adjusted_rand_score(a, b))
    assert agreement(a, a + 10) == 1 and agreement(np.zeros(5), np.zeros(5)) == 1


def run_stability(points: np.ndarray, resolutions: list[float]) -> pd.DataFrame:
    extra = {"n_neighbors": 15, "n_subsamples": 4, "fraction": 0.8, "stability_cells": 600}
    return stability(points, resolutions=resolutions, **CHOICE, **extra)


def test_the_supported_resolution_shows_the_groups() -> None:
    table = run_stability(groups((200, 150, 150))[0], [4.0, 0.3, 20.0])
    assert table["resolution"].is_monotonic_increasing and table["supported"].sum() == 1
    assert table.loc[table["supported"], "n_clusters"].item() == 3
    assert (table["stability"] > table["null_stability"])[table["supported"]].all()


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_without_groups_the_coarsest_resolution_is_kept(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(500, 10)).astype(np.float32)
    table = run_stability(points, [0.5, 1.0, 2.0])
    assert table["excess"].abs().max() < 0.5 and table["supported"].tolist() == [True, False, False]


def test_few_cells() -> None:
    points, _ = groups((8, 7))
    assert run_stability(points, [1.0])["n_cells"].item() == 15
    indices, _ = nearest(points, k=15, exact_below=100, threads=1)
    assert len(clusters(names(15), indices, resolutions=[1], **CHOICE)) == 15


def test_choose_and_label() -> None:
    table = pd.DataFrame({"resolution": [0.5, 1.0], "supported": [False, True]})
    assert choose(table, resolution="auto") == 1.0 and choose(table, resolution=0.7) == 0.7
    found = label(pd.DataFrame({"leiden_0.5": ["0"], "leiden_1": ["1"]}), 1.0)
    assert list(found.columns) == ["cluster", "leiden_0.5", "leiden_1"] and found["cluster"].item() == "1"
