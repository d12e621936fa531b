"""Nearest neighbours of every cell: exact in small cohorts, by a navigable graph in large ones."""

import logging
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from brainmet.errors import BrainmetError
from brainmet.files import replacing

log = logging.getLogger(__name__)

HNSW_LINKS, HNSW_BUILD, HNSW_SEARCH = 32, 80, 64
"""Recall of 15 neighbours 0.98 at 100,000 cells and 50 components."""
ROWS = 20_000
"""Cells searched at a time."""


def nearest(points: np.ndarray, *, k: int, exact_below: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest other points of every point, nearest first.

    Args:
        points: points × dimensions.
        k: neighbours a point, fewer when there are not as many other points.
        exact_below: with more points than this the search is approximate (Malkov & Yashunin 2018, doi
            10.1109/TPAMI.2018.2889473).
        threads: used for the approximate search only, where each point's result is its own. The exact one multiplies
            matrices, whose sums depend on the number of threads, and has one.

    Returns:
        Indices (int32) and Euclidean distances (float32), points × k. A point is never its own neighbour.
    """
    import faiss

    points = np.ascontiguousarray(points, dtype=np.float32)
    n, k = len(points), min(k, len(points) - 1)
    # Links are inserted by one thread: with two, the graph depends on who comes first.
    faiss.omp_set_num_threads(1)
    if n <= exact_below:
        index: faiss.Index = faiss.IndexFlatL2(points.shape[1])
    else:
        index = graph = faiss.IndexHNSWFlat(points.shape[1], HNSW_LINKS)
        graph.hnsw.efConstruction, graph.hnsw.efSearch = HNSW_BUILD, max(HNSW_SEARCH, 2 * k)
    index.add(points)
    faiss.omp_set_num_threads(1 if n <= exact_below else threads)
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    for start in range(0, n, ROWS):
        rows = np.arange(start, min(start + ROWS, n))
        squared, found = index.search(points[rows], k + 1)
        indices[rows], distances[rows] = _without_self(found, squared, rows, k)
    log.info("%d neighbours of %d cells, %s", k, n, "exact" if n <= exact_below else "approximate")
    return indices, distances


def among(points: np.ndarray, landmarks: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the `k` nearest landmarks of every point, exact, nearest first."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(landmarks.shape[1])
    index.add(np.ascontiguousarray(landmarks, dtype=np.float32))
    squared, found = index.search(np.ascontiguousarray(points, dtype=np.float32), min(k, len(landmarks)))
    return found.astype(np.int32), np.sqrt(np.maximum(squared, 0))


def save(path: str | Path, indices: np.ndarray, distances: np.ndarray) -> None:
    """Write neighbours as an uncompressed `.npz` with `indices` and `distances`."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, indices=indices, distances=distances)


def load(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of each cell's neighbours.

    Raises:
        BrainmetError: the file is not whole.
    """
    try:
        with np.load(path) as file:
            return file["indices"], file["distances"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BrainmetError(f"{path}: not readable as neighbours ({error}); delete it and run again") from error


def _without_self(found: np.ndarray, squared: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row's own point: usually first, among duplicates anywhere, in an approximate search perhaps absent."""
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    kept = ~own
    indices = found[kept].reshape(len(rows), k)
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
