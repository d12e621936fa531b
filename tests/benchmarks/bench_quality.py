"""Does speed cost quality? Clusters beside leidenalg alone on the whole graph, the layout beside umap-learn.

    uv run python -m tests.benchmarks.bench_quality RUN      (RUN: folder of a finished run)

Clusters: modularity of ours and of leidenalg started from single cells, on the same pruned graph; adjusted Rand index
of ours with leidenalg on the unpruned graph, beside that of leidenalg's seeds with each other. Layout: trustworthiness.
"""

import argparse
import random
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml
from brainmet.cluster import agreement, grouped, leiden, link, shared_neighbors
from brainmet.core.neighbors import load, nearest
from brainmet.core.tables import read_table
from brainmet.embed import integrated

from tests.benchmarks.cohort import HOME

SEEDS = 5


def alone(graph: object, *, resolution: float, seed: int) -> np.ndarray:
    """Clusters by leidenalg from single cells, two iterations as scanpy asks for."""
    import leidenalg

    kind = leidenalg.RBConfigurationVertexPartition
    how = {"weights": "weight", "resolution_parameter": resolution, "n_iterations": 2, "seed": seed}
    return np.asarray(leidenalg.find_partition(graph, kind, **how).membership)


def trustworthiness(points: np.ndarray, flat: np.ndarray, *, k: int = 15, cells: int = 2_000) -> float:
    """Of a sample of cells against all (Venna & Kaski 2001)."""
    n, total = len(points), 0.0
    chosen = np.random.default_rng(0).choice(n, min(cells, n), replace=False)
    near, _ = nearest(flat, k=k, exact_below=n, threads=2)
    for rows in np.array_split(chosen, max(1, len(chosen) // 100)):
        distance = (points**2).sum(axis=1)[None] - 2 * points[rows] @ points.T
        distance[np.arange(len(rows)), rows] = -np.inf
        rank = np.argsort(np.argsort(distance, axis=1), axis=1)
        total += np.maximum(np.take_along_axis(rank, near[rows], axis=1) - k, 0).sum()
    return 1 - 2 * total / (len(chosen) * k * (2 * n - 3 * k - 1))


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--layout", action="store_true", help="fit umap-learn too: minutes")
    parser.add_argument("--groups", action="store_true", help="cluster by groups of cells, as in larger cohorts")
    asked = parser.parse_args()
    choice = yaml.safe_load((HOME / "config/config.yaml").read_text())["cluster"]
    table = read_table(asked.run / "results/cohort/embedding.parquet", "embedding")
    indices, distances = load(asked.run / "results/cohort/neighbors.npz")
    pruned, whole = (link(*shared_neighbors(indices, prune=prune), n=len(table)) for prune in (choice["prune"], 0.0))
    random.seed(0)
    how = {name: choice[name] for name in ("n_iterations", "seed")}
    how["groups"] = grouped(pruned, seed=choice["seed"]) if asked.groups else None
    for resolution in choice["resolutions"]:
        ours = leiden(pruned, resolution=resolution, **how)
        theirs = [alone(whole, resolution=resolution, seed=seed) for seed in range(SEEDS)]
        same = alone(pruned, resolution=resolution, seed=0)
        quality = [pruned.modularity(list(x), weights="weight", resolution=resolution) for x in (ours, same)]
        own = np.mean([agreement(a, b) for a, b in combinations(theirs, 2)])
        with_ours = np.mean([agreement(ours, other) for other in theirs])
        sys.stdout.write(
            f"resolution {resolution}: modularity {quality[0]:.4f}, leidenalg {quality[1]:.4f}; "
            f"ARI with leidenalg {with_ours:.3f}, of its seeds {own:.3f}\n"
        )
        sys.stdout.flush()
    points, flat = integrated(table), table[["umap_1", "umap_2"]].to_numpy(np.float32)
    sys.stdout.write(f"trustworthiness of the layout: {trustworthiness(points, flat):.4f}\n")
    if asked.layout:
        import umap

        self = np.arange(len(points))[:, None]
        known = np.hstack([self, indices[:, :14]]), np.hstack([np.zeros_like(self), distances[:, :14]]), None
        theirs = umap.UMAP(n_neighbors=15, min_dist=0.1, random_state=1, precomputed_knn=known).fit_transform(points)
        sys.stdout.write(f"trustworthiness of umap-learn: {trustworthiness(points, theirs):.4f}\n")


if __name__ == "__main__":
    main()
