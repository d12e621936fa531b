"""The common space: components equal to numpy's, missing genes move no cell, threads change no byte."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from brainmet.core.neighbors import load, nearest, save
from brainmet.embed import components, embedding, harmony, integrated
from brainmet.embed.layout import layout
from brainmet.errors import BrainmetError
from brainmet.slice import Slice

CHOICE = {
    "n_components": 8,
    "scale": False,
    "integrate": "harmony",
    "theta": 2,
    "max_iterations": 10,
    "n_neighbors": 15,
    "exact_below": 50_000,
    "min_dist": 0.1,
    "layout_cells": 20_000,
    "seed": 1,
}


def parts(n: int = 150, genes: int = 60, samples: int = 3, missing: int = 0) -> list[Slice]:
    """Sparse values of cells of three types, with a shift between samples."""
    rng = np.random.default_rng(0)
    centres, batch = rng.normal(0, 1.5, (3, genes)), rng.normal(0, 0.5, (samples, genes))
    found = []
    for s in range(samples):
        values = np.maximum(centres[np.arange(n) % 3] + batch[s] + rng.normal(0, 0.7, (n, genes)), 0).astype(np.float32)
        measured = np.ones(genes, bool)
        measured[: missing if s == 1 else 0] = False
        values[:, ~measured] = 0
        cells = np.array([f"s{s}:c{i}" for i in range(n)], dtype=object)
        found.append(
            Slice(sp.csr_matrix(values), measured, cells, np.array([f"g{i}" for i in range(genes)], dtype=object))
        )
    return found


@pytest.mark.parametrize("scale", [False, True])
def test_components_equal_a_decomposition_of_the_dense_matrix(scale: bool) -> None:
    slices = parts()
    scores, share, cells, sample = components(slices, n_components=8, scale=scale)
    dense = np.vstack([part.X.toarray() for part in slices]).astype(float)
    centred = dense - dense.mean(axis=0)
    if scale:
        centred /= dense.std(axis=0, ddof=1)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :8] * singular[:8]
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=2e-3)
    np.testing.assert_allclose(share, (singular**2 / (singular**2).sum())[:8], rtol=1e-4)
    assert list(cells) == [cell for part in slices for cell in part.cells] and list(np.bincount(sample)) == [150] * 3


def test_missing_genes_are_at_the_mean() -> None:
    slices = parts(missing=6)
    scores, *_ = components(slices, n_components=8, scale=False)
    dense = np.vstack([part.X.toarray() for part in slices]).astype(float)
    known = np.repeat([part.measured for part in slices], 150, axis=0)
    filled = np.where(known, dense, (dense * known).sum(axis=0) / known.sum(axis=0))
    left, singular, _ = np.linalg.svd(filled - filled.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(scores), np.abs(left[:, :8] * singular[:8]), atol=2e-3)


def test_order_of_genes_changes_no_component() -> None:
    slices = parts()
    order = np.random.default_rng(1).permutation(60)
    turned = [Slice(part.X[:, order], part.measured[order], part.cells, part.genes[order]) for part in slices]
    expected, *_ = components(slices, n_components=8, scale=False)
    np.testing.assert_allclose(components(turned, n_components=8, scale=False)[0], expected, atol=1e-3)


def test_harmony_mixes_samples_and_ignores_threads() -> None:
    scores, _, _, sample = components(parts(), n_components=8, scale=False)
    choice = {"theta": 2, "max_iterations": 10, "seed": 1}
    corrected = harmony(scores, sample, threads=1, **choice)
    np.testing.assert_array_equal(corrected, harmony(scores, sample, threads=2, **choice))

    def mixing(space: np.ndarray) -> float:
        indices, _ = nearest(space, k=15, exact_below=10_000, threads=1)
        return float((sample[indices] != sample[:, None]).mean())

    assert corrected.shape == scores.shape and mixing(corrected) > mixing(scores)


def test_embedding_is_the_same_for_any_number_of_threads() -> None:
    first, indices, distances = embedding(parts(), ["a", "b", "c"], threads=1, **CHOICE)
    again, other, _ = embedding(parts(), ["a", "b", "c"], threads=2, **CHOICE)
    assert first.equals(again) and np.array_equal(indices, other)
    assert list(first.columns[:2]) == ["sample", "PC_1"] and list(first.columns[-3:]) == [
        "harmony_8",
        "umap_1",
        "umap_2",
    ]
    assert (first["sample"].iloc[[0, 150, 300]] == ["a", "b", "c"]).all() and np.isfinite(first.iloc[:, 1:]).all(
        axis=None
    )
    assert indices.shape == (450, 15) and (np.diff(distances, axis=1) >= 0).all()


def test_neighbours_are_the_same_for_any_number_of_threads() -> None:
    """From a few thousand cells on faiss multiplies matrices; with the workflow's kernel threads change the sums. With
    20,000 every thread of the approximate search has thousands of cells, and ends at another time in every run."""
    program = """
import numpy as np
from brainmet.core.neighbors import nearest
points = np.random.default_rng(0).normal(size=(20_000, 20)).astype(np.float32) * np.linspace(3, 0.3, 20, dtype="f4")
for part, exact_below in ((points[:6_000], 6_000), (points, 0)):
    (one, near), (two, far) = (nearest(part, k=15, exact_below=exact_below, threads=n) for n in (1, 2))
    assert np.array_equal(one, two) and np.array_equal(near, far)
some = np.arange(0, 20_000, 50)
order = np.argsort(((points**2).sum(axis=1) - 2 * points[some] @ points.T), axis=1)[:, 1:16]
recall = np.mean([np.isin(a, b).mean() for a, b in zip(one[some], order)])
assert recall > 0.95, recall
"""
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"OPENBLAS_CORETYPE": "Haswell"}, check=True)


@pytest.mark.parametrize("n", [3, 12])
def test_few_cells(n: int) -> None:
    table, indices, _ = embedding(parts(n=n, samples=1), ["a"], threads=1, **CHOICE)
    assert indices.shape == (n, min(15, n - 1)) and np.isfinite(table["umap_1"]).all()
    np.testing.assert_array_equal(integrated(table), table.filter(like="PC_").to_numpy())


def test_too_few_cells_is_an_error() -> None:
    with pytest.raises(BrainmetError, match="only 2 cells"):
        components(parts(n=2, samples=1), n_components=2, scale=False)
    with pytest.raises(BrainmetError, match="no sample is left"):
        components([], n_components=2, scale=False)


def test_neighbours_equal_brute_force_and_are_never_the_cell(tmp_path) -> None:
    points = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    points[10:20] = points[10]
    indices, distances = nearest(points, k=7, exact_below=1000, threads=2)
    full = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(full, np.inf)
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :7], atol=1e-3)
    assert (indices != np.arange(300)[:, None]).all()
    approximate, far = nearest(points, k=7, exact_below=0, threads=2)
    assert (approximate != np.arange(300)[:, None]).all() and np.isclose(far, distances, atol=1e-3).mean() > 0.95
    np.testing.assert_array_equal(approximate, nearest(points, k=7, exact_below=0, threads=1)[0])
    many = np.random.default_rng(1).normal(size=(3_000, 5)).astype(np.float32)
    true, few, all_ = (nearest(many, k=7, exact_below=n, threads=1, lists=m)[0] for n, m in ((9e9, 1), (0, 2), (0, 99)))
    assert 0.5 < (few == true).mean() < 0.99 < (all_ == true).mean()
    save(tmp_path / "n.npz", indices, distances)
    np.testing.assert_array_equal(load(tmp_path / "n.npz")[0], indices)


def test_landmark_layout_keeps_groups_apart() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(900) % 3
    points = (np.eye(3)[group] * 12).repeat(4, axis=1) + rng.normal(size=(900, 12))
    points = points.astype(np.float32)
    indices, distances = nearest(points, k=15, exact_below=10_000, threads=1)
    flat = layout(points, indices, distances, min_dist=0.1, layout_cells=300, seed=1)
    near, _ = nearest(flat, k=10, exact_below=10_000, threads=1)
    assert (group[near] == group[:, None]).mean() > 0.98
    again = layout(points, indices, distances, min_dist=0.1, layout_cells=300, seed=1)
    np.testing.assert_array_equal(flat, again)
