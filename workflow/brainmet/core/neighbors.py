"""Nearest neighbours of every cell: exact in small cohorts, among the cells of nearby lists in large ones."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from brainmet.core.files import reading, replacing

log = logging.getLogger(__name__)

CELLS_PER_LIST, LISTS_SEARCHED = 256, 16
"""Every point is compared with about 4,000 others, however many there are. Of 88,551 drawn cells' 15 neighbours in 50
components .90 were found (.97 in twice the time), and .997 were of the cell's type, as of the exact ones."""
ROUNDS, TRAINED_ON = 8, 32
"""Rounds of k-means for the lists, and points per list that it is shown."""
ROWS = 20_000
"""Cells searched at a time."""


def nearest(
    points: np.ndarray, *, k: int, exact_below: int, threads: int, lists: int = LISTS_SEARCHED
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest other points of every point, nearest first.

    Args:
        points: points × dimensions.
        k: neighbours per point, fewer when there are not as many other points.
        exact_below: with more points than this, neighbours are sought in the nearest of lists of about
            `CELLS_PER_LIST` points each (Jegou et al. 2011, doi 10.1109/TPAMI.2010.57).
        threads: used where each point's result is its own. Products of matrices, whose sums depend on the number of
            threads, have one.
        lists: so many are searched per point.

    Returns:
        Indices (int32) and Euclidean distances (float32), points × k. A point is never its own neighbour.
    """
    points = np.ascontiguousarray(points, dtype=np.float32)
    n, k = len(points), min(k, len(points) - 1)
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    searched = (
        _exact(points, points, k + 1)
        if n <= exact_below
        else _by_lists(points, points, k + 1, lists=lists, threads=threads)
    )
    for rows, squared, near in searched:
        indices[rows], distances[rows] = _without_self(near, squared, rows, k)
    log.info("%d neighbours of %d cells, %s", k, n, "exact" if n <= exact_below else "approximate")
    return indices, distances


def among(
    points: np.ndarray, landmarks: np.ndarray, *, k: int, lists: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the `k` nearest landmarks of every point, nearest first; by `lists` where given."""
    points, landmarks = (np.ascontiguousarray(x, dtype=np.float32) for x in (points, landmarks))
    shape = len(points), min(k, len(landmarks))
    indices, squared = np.empty(shape, np.int32), np.empty(shape, np.float32)
    searched = (
        _by_lists(points, landmarks, shape[1], lists=lists, threads=1) if lists else _exact(points, landmarks, shape[1])
    )
    for rows, far, near in searched:
        indices[rows], squared[rows] = near, far
    return indices, np.sqrt(np.maximum(squared, 0))


def save(path: str | Path, indices: np.ndarray, distances: np.ndarray) -> None:
    """Write neighbours as an uncompressed `.npz` with `indices` and `distances`."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, indices=indices, distances=distances)


def load(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of each cell's neighbours.

    Raises:
        BrainmetError: the file is not whole.
    """
    with reading(path, "neighbours"), np.load(path) as file:
        return file["indices"], file["distances"]


def _exact(points: np.ndarray, landmarks: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, squared distances and indices of each point's nearest landmarks; where they are the points, itself too."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(landmarks.shape[1])
    index.add(landmarks)
    for start in range(0, len(points), ROWS):
        rows = np.arange(start, min(start + ROWS, len(points)))
        yield rows, *index.search(points[rows], k)


def _by_lists(
    points: np.ndarray, landmarks: np.ndarray, k: int, *, lists: int, threads: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same from the nearest lists only; a search may come back short, with index -1 at a huge distance."""
    import faiss

    faiss.omp_set_num_threads(1)
    n, dimensions = landmarks.shape
    n_lists = max(n // CELLS_PER_LIST, 1)
    # Where the lists lie changes which neighbours are missed, not what a run is asked for: no seed of the config.
    how = {"niter": ROUNDS, "seed": 1, "max_points_per_centroid": TRAINED_ON, "min_points_per_centroid": 1}
    centres: Any = faiss.Kmeans(dimensions, n_lists, **how)
    centres.train(landmarks)
    quantizer = centres.index
    index: Any = faiss.IndexIVFFlat(quantizer, dimensions, n_lists)
    index.nprobe = min(lists, n_lists)
    index.add(landmarks)
    far, near = quantizer.search(points, index.nprobe)
    faiss.omp_set_num_threads(threads)
    # Points of one list are searched together: what they are compared with is in the processor's cache.
    order = np.argsort(near[:, 0], kind="stable")
    for start in range(0, len(points), ROWS):
        rows = order[start : start + ROWS]
        yield rows, *index.search_preassigned(points[rows], k, near[rows], far[rows])


def _without_self(near: np.ndarray, squared: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row's own point: usually first, among duplicates anywhere, in an approximate search perhaps absent."""
    itself = near == rows[:, None]
    itself[~itself.any(axis=1), -1] = True
    kept = ~itself
    indices = near[kept].reshape(len(rows), k)
    distances = np.sqrt(np.maximum(squared[kept].reshape(len(rows), k), 0))
    # An approximate search may come back short (-1): its last found neighbour fills the row.
    for row in np.flatnonzero((indices < 0).any(axis=1)):
        good = indices[row] >= 0
        last = int(np.flatnonzero(good)[-1]) if good.any() else 0
        indices[row, ~good], distances[row, ~good] = (
            max(indices[row, last], 0),
            distances[row, last] if good.any() else 0,
        )
    return indices.astype(np.int32), distances.astype(np.float32)
