"""The GPU finds what the CPUs find. Set BRAINMET_GPU to the Python of an environment with rapids-singlecell."""

import os
import sys

import numpy as np
import pytest
from brainmet import gpu, provenance
from brainmet.cluster import agreement, by_size, clusters, link, rough, shared_neighbors
from brainmet.embed import harmony
from brainmet.errors import BrainmetError
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

CHOICE = {"theta": 2.0, "max_iterations": 10, "seed": 1}
RESOLUTIONS = [0.5, 1.0]
PYTHON = os.environ.get("BRAINMET_GPU", "")
with_gpu = pytest.mark.skipif(not PYTHON, reason="BRAINMET_GPU names no Python with rapids-singlecell")


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, np.ndarray]:
    """Components of 3,000 cells of twelve types, and their samples, which are shifted against each other."""
    rng = np.random.default_rng(0)
    types, sample = rng.integers(0, 12, 3000), rng.integers(0, 3, 3000)
    centres, shifts = rng.normal(0, 4, (12, 20)), rng.normal(0, 0.7, (3, 20))
    return (centres[types] + shifts[sample] + rng.normal(0, 1, (3000, 20))).astype(np.float32), sample


@pytest.fixture(scope="module")
def on_gpu(cells) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return gpu.space(PYTHON, *cells, **CHOICE, n_neighbors=15, min_dist=0.5)


@with_gpu
def test_harmony_agrees(cells, on_gpu) -> None:
    expected = harmony(*cells, threads=1, **CHOICE)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(on_gpu[0].T, expected.T, strict=True)]
    assert on_gpu[0].shape == expected.shape and min(r) > 0.99


@with_gpu
def test_neighbours_are_exact(on_gpu) -> None:
    points, indices, distances, _ = on_gpu
    far, near = NearestNeighbors(n_neighbors=16).fit(points).kneighbors(points)
    assert indices.shape == (3000, 15) and not (indices == np.arange(3000)[:, None]).any()
    assert np.mean([np.isin(a, b).mean() for a, b in zip(indices, near[:, 1:], strict=True)]) > 0.999
    np.testing.assert_allclose(distances, far[:, 1:], rtol=1e-3, atol=1e-3)


@with_gpu
def test_layout_keeps_neighbours_together(on_gpu) -> None:
    points, _, _, flat = on_gpu
    assert flat.shape == (3000, 2) and trustworthiness(points, flat, n_neighbors=15) > 0.85


@with_gpu
def test_clusters_agree(on_gpu) -> None:
    names, indices = np.array([f"s:c{i}" for i in range(3000)], dtype=object), on_gpu[1]
    how = {"resolutions": RESOLUTIONS, "prune": 1 / 15, "n_iterations": 2, "seed": 1}
    expected, found = clusters(names, indices, **how), clusters(names, indices, **how, gpu=PYTHON)
    for name in expected:
        assert agreement(expected[name].to_numpy(), found[name].to_numpy()) > 0.95


def test_igraph_moves_cells_from_any_start(cells) -> None:
    """What the GPU begins need not be good: cells move to where they belong."""
    indices = NearestNeighbors(n_neighbors=16).fit(cells[0]).kneighbors(cells[0])[1][:, 1:]
    graph = link(*shared_neighbors(indices, prune=1 / 15), n=3000)
    how = {"resolution": 1.0, "n_iterations": 2, "seed": 1}
    start = np.random.default_rng(1).integers(0, 40, 3000)
    assert agreement(by_size(rough(graph, start=start, **how)), rough(graph, **how)) > 0.95


def test_a_python_without_rapids_is_named(cells) -> None:
    with pytest.raises(
        BrainmetError,
        match=r"gpu: .+ failed: ModuleNotFoundError: No module named 'rapids_singlecell'; it needs rapids",
    ):
        gpu.space(sys.executable, *cells, **CHOICE, n_neighbors=15, min_dist=0.5)


def test_what_is_no_program_is_named(cells, tmp_path) -> None:
    (tmp_path / "python").write_text("")
    with pytest.raises(BrainmetError, match=r"config\.yaml: gpu: .+/python cannot be started: Permission denied"):
        gpu.space(str(tmp_path / "python"), *cells, **CHOICE, n_neighbors=15, min_dist=0.5)


def test_the_provenance_names_what_computed_on_the_gpu(tmp_path) -> None:
    for name, version in (("cuml-cu13", "26.10.0"), ("rapids-singlecell", "0.18.1"), ("other", "1")):
        (tmp_path / f"{name}.dist-info").mkdir()
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (tmp_path / f"{name}.dist-info/METADATA").write_text(about)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    on = {
        path: provenance.run(config={"gpu": path}, samples={}, knowledge={})["software"] for path in (str(python), None)
    }
    assert dict(on[str(python)].items() - on[None].items()) == {"cuml-cu13": "26.10.0", "rapids-singlecell": "0.18.1"}
