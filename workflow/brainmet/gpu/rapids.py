"""What runs on the GPU. This file is started by the Python of an environment with rapids-singlecell; nothing else of
brainmet is imported here.

    python rapids.py space|leiden ARRAYS.npz RESULTS.npz
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_LEVELS = 100
"""Of cuGraph's Leiden, which ends by itself: a limit of two, as for leidenalg's iterations, leaves thousands of
clusters."""
FEWEST = 10
"""Below as many cells there is nothing to lay out: the first two components are shown."""


def space(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Harmony, exact nearest neighbours and UMAP."""
    import rapids_singlecell as rsc
    from cuml.neighbors import NearestNeighbors

    scores, k, seed = given["scores"].astype(np.float32), int(given["k"]), int(given["seed"])
    cells = _cells(len(scores))
    cells.obsm["space"] = scores
    if "sample" in given:
        cells.obs["sample"] = given["sample"].astype(str)
        rsc.pp.harmony_integrate(
            cells,
            "sample",
            basis="space",
            adjusted_basis="space",
            theta=float(given["theta"]),
            max_iter_harmony=int(given["max_iterations"]),
            rng=seed,
        )
    points = np.ascontiguousarray(cells.obsm["space"], dtype=np.float32)
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute", output_type="numpy").fit(points)
    distances, indices = search.kneighbors(points)
    others = indices != np.arange(len(points))[:, None]
    others[others.all(axis=1), -1] = False  # among duplicates a cell may be absent from its own neighbours
    if len(points) < FEWEST:
        flat = points[:, :2]
    else:
        rsc.pp.neighbors(cells, n_neighbors=k + 1, use_rep="space", algorithm="brute", rng=seed)
        rsc.tl.umap(cells, min_dist=float(given["min_dist"]), rng=seed)
        flat = cells.obsm["X_umap"]
    return {
        "corrected": points,
        "indices": indices[others].reshape(-1, k).astype(np.int32),
        "distances": distances[others].reshape(-1, k).astype(np.float32),
        "flat": np.asarray(flat, dtype=np.float32),
    }


def leiden(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Clusters at every resolution, resolutions × cells."""
    import rapids_singlecell as rsc
    import scipy.sparse as sp

    n, links = int(given["n"]), given["links"]
    ends = np.vstack([links, links[:, ::-1]]).T
    graph = sp.csr_matrix((np.tile(given["weights"].astype(np.float32), 2), tuple(ends)), shape=(n, n))
    cells, labels = _cells(n), []
    for resolution in given["resolutions"]:
        rsc.tl.leiden(cells, float(resolution), adjacency=graph, n_iterations=MOST_LEVELS, rng=int(given["seed"]))
        labels.append(cells.obs["leiden"].to_numpy().astype(np.int64))
    return {"labels": np.stack(labels)}


def _cells(n: int) -> Any:
    from anndata import AnnData

    return AnnData(np.zeros((n, 1), np.float32))


if __name__ == "__main__":
    task, arrays, results = sys.argv[1:]
    with np.load(arrays) as file:
        found: dict[str, Any] = {"space": space, "leiden": leiden}[task](file)
        np.savez(results, **found)
    import rapids_singlecell

    print(f"rapids-singlecell {rapids_singlecell.__version__}")
