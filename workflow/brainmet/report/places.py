"""Where names stand on a map of cells: one rule for the page and for the figures of a paper."""

import numpy as np
import pandas as pd

SQUARES = 32
"""Squares along each side of the map, in which cells are counted."""
MIN_CELLS, MIN_SHARE = 5, 0.003
"""Cells that a level needs, as a number and as a share of all."""
TOGETHER, OWN = 0.05, 0.5
"""Share of a level's cells that must lie at its densest place, and share of the cells there that must be its own."""


def places(points: np.ndarray, values: pd.Series) -> dict[str, np.ndarray]:
    """Where the names of a category's levels can stand: at the densest place of each level's cells.

    Left out are levels that are rare, lie everywhere, or are not most of the cells where they are densest.

    Args:
        points: cells × 2.
        values: level of each cell; the empty one has no name.
    """
    from scipy.ndimage import uniform_filter

    if not len(points):
        return {}
    codes, levels = pd.factorize(values.to_numpy(object), sort=True)
    span = np.ptp(points, axis=0).max() or 1.0
    squares = np.clip(((points - points.min(axis=0)) / span * SQUARES).astype(int), 0, SQUARES - 1)
    shape = (len(levels), SQUARES, SQUARES)
    counts = np.zeros(shape)
    np.add.at(counts, (codes, *squares.T), 9.0)
    around = uniform_filter(counts, (1, 3, 3), mode="constant")  # the mean of nine squares of nine: their cells
    everyone, sizes = around.sum(axis=0), np.bincount(codes)

    found: dict[str, np.ndarray] = {}
    for k, level in enumerate(levels):
        at = np.unravel_index(around[k].argmax(), everyone.shape)
        enough = level and sizes[k] >= max(MIN_CELLS, MIN_SHARE * len(points))
        if enough and around[k][at] >= TOGETHER * sizes[k] and around[k][at] > OWN * everyone[at]:
            near = (codes == k) & (np.abs(squares - at) <= 1).all(axis=1)
            found[str(level)] = points[near].mean(axis=0)
    return found
