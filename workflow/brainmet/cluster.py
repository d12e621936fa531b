"""Clusters of cells at several resolutions by the Leiden algorithm, and the resolution that the data support.

The graph links each cell to its nearest neighbours, weighted by the neighbours that two cells share; weak links are
dropped. It is built once for all resolutions. In large cohorts leidenalg divides a graph of small groups of cells, and
the cells settle from there.
"""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from brainmet.contract import CELL_ID, Obs
from brainmet.core.lean import lean
from brainmet.core.neighbors import nearest
from brainmet.gpu import leiden as on_gpu

log = logging.getLogger(__name__)

ROWS = 5_000
"""Cells whose shared neighbours are counted at a time."""
MANY, CELLS_A_GROUP = 50_000, 400
"""Cells from which on they are grouped before leidenalg, whose time grows faster than the graph; and what the number of
cells is divided by for the resolution of the groups, which hold about a tenth as many cells."""
AUTO = "auto"
LEAST_EXCESS = 0.25
"""Excess over the null from which on clusters are more than chance: a cloud of 500 cells reached 0.24 in 36 trials."""


def column(resolution: float) -> str:
    """Name of the column of a resolution: `leiden_0.5`."""
    return f"leiden_{resolution:g}"


def clusters(
    cells: np.ndarray,
    indices: np.ndarray,
    *,
    resolutions: Sequence[float],
    prune: float,
    n_iterations: int,
    seed: int,
    gpu: str | None = None,
) -> pd.DataFrame:
    """Cluster labels of every cell, one column per resolution.

    Args:
        cells: cell ids.
        indices: nearest neighbours of each cell, cells × k, without the cell.
        resolutions: of modularity; higher means more clusters.
        prune: links below this Jaccard index of neighbourhoods are dropped.
        n_iterations: of the Leiden algorithm.
        seed: of the Leiden algorithm.
        gpu: Python of an environment with rapids-singlecell: cuGraph's Leiden then takes leidenalg's place, and igraph
            moves the cells that do better elsewhere.

    Returns:
        Index cell id; `leiden_{resolution}`: "0" for the largest cluster, "1" for the next.
    """
    links, weights = shared_neighbors(indices, prune=prune)
    graph, how = link(links, weights, n=len(cells)), {"n_iterations": n_iterations, "seed": seed}
    if gpu:
        starts = on_gpu(gpu, links, weights, n=len(cells), resolutions=resolutions, seed=seed)
        labels = {column(r): by_size(rough(graph, resolution=r, start=starts[r], **how)) for r in resolutions}
    else:
        groups = grouped(graph, seed=seed) if len(cells) > MANY else None
        labels = {column(r): leiden(graph, resolution=r, groups=groups, **how) for r in resolutions}
    for name, found in labels.items():
        log.info("%s: %d clusters", name, found.max() + 1)
    return pd.DataFrame(
        {name: found.astype(str).astype(object) for name, found in labels.items()},
        index=pd.Index(cells, name=CELL_ID, dtype=object),
    )


def shared_neighbors(indices: np.ndarray, *, prune: float) -> tuple[np.ndarray, np.ndarray]:
    """Links between neighbours, weighted by the Jaccard index of their neighbourhoods (each with the cell itself).

    Args:
        indices: nearest neighbours, cells × k, without the cell.
        prune: links with a lower weight are dropped, except the strongest that leads out of fewer than k cells, which
            all have neighbours elsewhere: no cell becomes a cluster for want of links.

    Returns:
        Links (number × 2, smaller cell first, sorted, each once) and their weights.
    """
    n, k = indices.shape
    hoods = np.sort(np.hstack([np.arange(n, dtype=np.int64)[:, None], indices]), axis=1)
    sources, targets, weights = [], [], []
    for start in range(0, n, ROWS):
        rows = np.arange(start, min(start + ROWS, n))
        # Every member of a hood is looked up in every neighbour's hood: keys are unique by (link, cell).
        theirs = hoods[indices[rows].ravel()]
        mine = np.repeat(hoods[rows], k, axis=0)
        shared = _common(mine, theirs, n)
        sources.append(np.repeat(rows, k))
        targets.append(indices[rows].ravel().astype(np.int64))
        weights.append(shared / (2 * (k + 1) - shared))
    source, target, weight = map(np.concatenate, (sources, targets, weights))
    low, high = np.minimum(source, target), np.maximum(source, target)
    keys, first = np.unique(low * n + high, return_index=True)
    links, weight = np.column_stack([keys // n, keys % n]), weight[first]
    keep = (weight >= prune) & (links[:, 0] != links[:, 1])
    while (out := _ways_out(links, weight, keep, n=n, fewest=k)).any():
        keep |= out
    return links[keep], weight[keep]


def link(links: np.ndarray, weights: np.ndarray, *, n: int) -> Any:
    """The links as an igraph graph of `n` cells."""
    graph = lean("igraph", without="matplotlib").Graph(n=n)
    graph.add_edges(links)  # A quarter of the time that the argument `edges` takes.
    graph.es["weight"] = weights
    return graph


def grouped(graph: Any, *, seed: int) -> tuple[np.ndarray, Any]:
    """Small groups of cells that belong together at any resolution, and their graph, on which modularity is the same.

    Returns:
        Group of every cell; a graph with the groups' summed links, those within a group as loops.
    """
    groups = rough(graph, resolution=graph.vcount() / CELLS_A_GROUP, n_iterations=1, seed=seed)
    small = graph.copy()
    small.contract_vertices(groups.tolist())
    small.simplify(loops=False, combine_edges={"weight": "sum"})
    log.info("%d groups of %d cells, %d links of %d", small.vcount(), len(groups), small.ecount(), graph.ecount())
    return groups, small


def leiden(
    graph: Any, *, resolution: float, n_iterations: int, seed: int, groups: tuple[np.ndarray, Any] | None = None
) -> np.ndarray:
    """Clusters that maximise modularity at a resolution (Traag et al. 2019, doi 10.1038/s41598-019-41695-z).

    igraph's Leiden finds nearly the same optimum in a tenth of the time. Without groups leidenalg starts there and
    improves on it; with groups leidenalg divides them, and igraph moves the cells that do better elsewhere.

    Args:
        groups: of cells, from `grouped`.

    Returns:
        By cell, 0 for the largest cluster; of two equally large ones the one with the earlier cell comes first.
    """
    how: dict[str, Any] = {"resolution": resolution, "n_iterations": n_iterations, "seed": seed}
    if groups is None:
        return by_size(_moved(graph, start=rough(graph, **how), **how))
    of_cell, small = groups
    return by_size(rough(graph, start=_moved(small, **how)[of_cell], **how))


def rough(
    graph: Any, *, resolution: float, n_iterations: int, seed: int, start: np.ndarray | None = None
) -> np.ndarray:
    """The same by igraph alone, numbered in no order, from single cells or from the clusters of `start`."""
    lean("igraph", without="matplotlib").set_random_number_generator(random.Random(seed))
    found = graph.community_leiden(
        "modularity",
        weights="weight",
        resolution=resolution,
        n_iterations=n_iterations,
        initial_membership=None if start is None else start.tolist(),
    )
    return np.asarray(found.membership)


def by_size(labels: np.ndarray) -> np.ndarray:
    """Labels renumbered by decreasing size, ties by first occurrence."""
    names, first, code, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(names))
    return rank[code]


def stability(
    points: np.ndarray,
    *,
    resolutions: Sequence[float],
    n_neighbors: int,
    prune: float,
    n_iterations: int,
    n_subsamples: int,
    fraction: float,
    stability_cells: int,
    seed: int,
) -> pd.DataFrame:
    """How well clusterings hold when cells are left out, beside cells without clusters.

    At most `stability_cells` cells are clustered by `rough` once in full and again in `n_subsamples` random parts,
    neighbours found anew; agreement is the adjusted Rand index on the cells of the part. Subsamples are drawn without
    replacement: the duplicates of a bootstrap form clusters of their own. The null is as many points from one normal
    distribution with the cells' covariance: what it reaches is not evidence of types. The finest resolution whose
    excess over the null is within one standard error of the best excess is supported, or the coarsest where no excess
    is more than chance.

    Args:
        points: cells × dimensions, the space of the neighbours.
        fraction: share of the cells in a subsample.
        resolutions, n_neighbors, prune, n_iterations, seed: as for `clusters`.

    Returns:
        One row per resolution, ascending: `resolution, n_clusters, stability, stability_sd, null_stability, null_sd,
        excess, supported, n_cells, n_subsamples`; `n_clusters` in the cells examined, `excess` is
        (stability − null) / (1 − null).
    """
    rng = np.random.default_rng(seed)
    if len(points) > stability_cells:
        points = points[np.sort(rng.choice(len(points), stability_cells, replace=False))]
    # Cells of few samples span fewer dimensions than there are: the decomposition, not its inverse, is needed.
    _, scale, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    null = rng.standard_normal((len(points), len(scale))) * scale @ axes / np.sqrt(max(len(points) - 1, 1))
    ascending = sorted(resolutions)

    def cluster(part: np.ndarray) -> list[np.ndarray]:
        indices, _ = nearest(part, k=n_neighbors, exact_below=len(part), threads=1)
        graph = link(*shared_neighbors(indices, prune=prune), n=len(part))
        return [rough(graph, resolution=r, n_iterations=n_iterations, seed=seed) for r in ascending]

    size = max(int(fraction * len(points)), 3)
    draws = [np.sort(rng.choice(len(points), size, replace=False)) for _ in range(n_subsamples)]
    n_clusters, real = _agreement(points, draws, cluster)
    _, spurious = _agreement(null.astype(np.float32), draws, cluster)
    table = pd.DataFrame(
        {
            "resolution": ascending,
            "n_clusters": n_clusters,
            "stability": real.mean(1),
            "stability_sd": real.std(1, ddof=1),
        }
    )
    table["null_stability"], table["null_sd"] = spurious.mean(1), spurious.std(1, ddof=1)
    ceiling = np.maximum(1 - table["null_stability"], 1e-9)
    table["excess"] = (table["stability"] - table["null_stability"]) / ceiling
    table["supported"] = _supported(table, n_subsamples, ceiling)
    return table.assign(n_cells=len(points), n_subsamples=n_subsamples)


def choose(table: pd.DataFrame, *, resolution: str | float) -> float:
    """The resolution used: the configured one, or under `auto` the supported one of `stability`."""
    if resolution != AUTO:
        return float(resolution)
    return float(table.loc[table["supported"], "resolution"].iloc[0])


def label(table: pd.DataFrame, resolution: float) -> pd.DataFrame:
    """The clusters with the chosen resolution in front, as `cluster`."""
    log.info("cluster is resolution %g", resolution)
    return table.assign(**{Obs.CLUSTER: table[column(resolution)]})[[Obs.CLUSTER, *table.columns]]


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of two clusterings (Hubert & Arabie 1985); 1 when both put all cells together."""
    _, a = np.unique(a, return_inverse=True)
    _, b = np.unique(b, return_inverse=True)
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(x: np.ndarray) -> float:
        return float((x * (x - 1) / 2).sum())

    both, first, second, total = pairs(table), pairs(table.sum(1)), pairs(table.sum(0)), len(a) * (len(a) - 1) / 2
    expected, most = first * second / total, (first + second) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def _agreement(
    points: np.ndarray, draws: list[np.ndarray], cluster: Callable[[np.ndarray], list[np.ndarray]]
) -> tuple[list[int], np.ndarray]:
    """Clusters of all points by resolution, and the agreement of each subsample's clusters with them."""
    whole = cluster(points)
    parts = [cluster(points[rows]) for rows in draws]
    found = [
        [agreement(whole[i][rows], part[i]) for rows, part in zip(draws, parts, strict=True)] for i in range(len(whole))
    ]
    return [int(labels.max()) + 1 for labels in whole], np.asarray(found)


def _supported(table: pd.DataFrame, n: int, ceiling: pd.Series) -> np.ndarray:
    # One cluster agrees with itself by definition: it says nothing, and is chosen when nothing else holds.
    excess = table["excess"].where(table["n_clusters"] > 1, 0.0)
    error = np.hypot(table["stability_sd"], table["null_sd"]) / np.sqrt(n) / ceiling
    best = int(excess.argmax())
    near = np.flatnonzero(excess >= excess[best] - error[best])
    chosen = int(near[-1]) if excess[best] >= LEAST_EXCESS else 0
    return np.arange(len(table)) == chosen


def _moved(
    graph: Any, *, resolution: float, n_iterations: int, seed: int, start: np.ndarray | None = None
) -> np.ndarray:
    """Clusters by leidenalg, from single nodes or from those of `start`."""
    import leidenalg

    partition = leidenalg.RBConfigurationVertexPartition(
        graph,
        initial_membership=None if start is None else start.tolist(),
        weights="weight",
        resolution_parameter=resolution,
    )
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(seed)
    optimiser.optimise_partition(partition, n_iterations=n_iterations)
    return np.asarray(partition.membership)


def _ways_out(links: np.ndarray, weights: np.ndarray, keep: np.ndarray, *, n: int, fewest: int) -> np.ndarray:
    """The strongest dropped link out of each set of fewer than `fewest` cells that kept links do not join to more."""
    ends = links[keep].T
    _, part = connected_components(sp.coo_matrix((np.ones(ends.shape[1], bool), ends), shape=(n, n)), directed=False)
    small = np.bincount(part) < fewest
    joined = part[links]
    rows = np.flatnonzero(small[joined].any(axis=1) & (joined[:, 0] != joined[:, 1]))
    rows = rows[np.argsort(-weights[rows], kind="stable")]
    parts, first = np.unique(joined[rows], return_index=True)
    out = np.zeros(len(links), bool)
    out[rows[first[small[parts]] // 2]] = True
    return out


def _common(mine: np.ndarray, theirs: np.ndarray, n: int) -> np.ndarray:
    """Number of values that row i of both (each without duplicates) share."""
    offset = np.arange(len(mine), dtype=np.int64)[:, None] * n
    keys = np.sort(np.hstack([mine + offset, theirs + offset]), axis=1)
    return (keys[:, 1:] == keys[:, :-1]).sum(axis=1)
