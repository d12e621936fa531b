"""One space for the cells of all samples: principal components, Harmony, nearest neighbours, layout.

The slices are read one sample at a time: components come from the genes' covariance matrix, which is summed over
samples, so that memory grows with the number of genes and of components, not with genes × cells.
"""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from brainmet.contract import CELL_ID, Obs
from brainmet.core.gram import eigenvectors, gram, mirrored
from brainmet.errors import BrainmetError
from brainmet.slice import Slice

log = logging.getLogger(__name__)

HARMONY = "harmony"


def components(
    slices: Sequence[Slice], *, n_components: int, scale: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of all cells.

    A gene's mean is taken over the cells of the samples that measured it, and cells of the other samples are put at
    that mean, so that a missing gene moves no cell.

    Args:
        slices: one per sample, each read twice.
        n_components: number of components, at most the number of genes and cells allow.
        scale: divide each gene by its standard deviation first.

    Returns:
        Scores (cells × components, float32, rows in the order of the slices), share of variance by component, cell ids,
        and the position of each cell's slice. The largest loading of every component is positive.

    Raises:
        BrainmetError: there are not enough cells.
    """
    products, sums, counts, patterns, n_cells = _sums(slices)
    if n_cells < 3:
        raise BrainmetError(
            f"only {n_cells} cells are left in the cohort; relax the thresholds of qc in your config or add samples"
        )
    mean = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    for measured, (total, number) in patterns.items():
        centre = np.where(np.frombuffer(measured, bool), mean, 0)
        cross = np.outer(total, centre)
        products += number * np.outer(centre, centre) - cross - cross.T
    sd = np.sqrt(np.maximum(np.diag(products), 0) / np.maximum(counts - 1, 1))
    weight = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 1e-6) if scale else np.ones_like(sd)
    products *= np.outer(weight, weight)
    loadings, variance = eigenvectors(products, min(n_components, n_cells - 1, len(products)))
    share = variance / max(np.trace(products), np.finfo(float).tiny)
    scores = np.empty((n_cells, loadings.shape[1]), np.float32)
    cells, sample, start = [], [], 0
    for position, part in enumerate(slices):
        projection = weight[:, None] * loadings
        offset = np.where(part.measured, mean, 0) @ projection
        stop = start + len(part.cells)
        scores[start:stop] = part.X @ projection.astype(np.float32) - offset.astype(np.float32)
        cells.append(part.cells)
        sample.append(np.full(len(part.cells), position))
        start = stop
    log.info(
        "%d components of %d cells hold %.3g of the variance of %d genes",
        len(share),
        n_cells,
        share.sum(),
        len(products),
    )
    return scores, share, np.concatenate(cells), np.concatenate(sample)


def harmony(
    scores: np.ndarray, sample: np.ndarray, *, theta: float, max_iterations: int, seed: int, threads: int
) -> np.ndarray:
    """Components corrected for the samples by Harmony (Korsunsky et al. 2019, doi 10.1038/s41592-019-0619-0).

    Args:
        scores: cells × components.
        sample: code of each cell's sample.
        theta: how much mixing of samples is rewarded; 2 in the reference, 0 for none.
        max_iterations: most rounds of clustering and correction.
        seed: of the initial clustering.
        threads: the result does not depend on it.

    Returns:
        Cells × components, float32.
    """
    from harmonypy import run_harmony

    fitted = run_harmony(
        np.ascontiguousarray(scores),
        {Obs.SAMPLE: sample},
        Obs.SAMPLE,
        theta=theta,
        max_iter_harmony=max_iterations,
        random_state=seed,
        ncores=threads,
        verbose=False,
    )
    log.info("Harmony over %d samples: %d rounds", len(np.unique(sample)), len(fitted.objective_harmony) - 1)
    return np.asarray(fitted.Z_corr, dtype=np.float32)


def embedding(
    slices: Sequence[Slice],
    samples: list[str],
    *,
    n_components: int,
    scale: bool,
    integrate: str,
    theta: float,
    max_iterations: int,
    n_neighbors: int,
    exact_below: int,
    min_dist: float,
    layout_cells: int,
    seed: int,
    threads: int,
    gpu: str | None = None,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Every coordinate of the cohort's cells, and their nearest neighbours in the integrated space.

    Args:
        slices: one per sample, each read twice.
        samples: sample ids in the order of the slices.
        integrate: `harmony`, or `none` to use the components as they are; a single sample is never integrated.
        n_neighbors, exact_below: see `brainmet.core.neighbors.nearest`.
        min_dist, layout_cells: see `brainmet.embed.layout.layout`.
        n_components, scale, theta, max_iterations, seed, threads: see `components` and `harmony`.
        gpu: Python of an environment with rapids-singlecell, which then finds everything but the components.

    Returns:
        Table indexed by cell id with `sample, PC_1.., harmony_1.., umap_1, umap_2` (harmony equals PC when not
        integrated); indices (int32) and distances (float32) of each cell's neighbours, nearest first.
    """
    from brainmet.core.neighbors import nearest
    from brainmet.embed.layout import layout
    from brainmet.gpu import space as on_gpu

    scores, _, cells, sample = components(slices, n_components=n_components, scale=scale)
    # Harmony's default number of clusters is cells / 30: below two clusters there is nothing to correct.
    wanted = integrate == HARMONY and len(np.unique(sample)) > 1 and len(cells) >= 60
    if not wanted:
        log.warning("not integrated: integrate is %s, %d samples, %d cells", integrate, len(samples), len(cells))
    if gpu:
        corrected, indices, distances, flat = on_gpu(
            gpu,
            scores,
            sample if wanted else None,
            theta=theta,
            max_iterations=max_iterations,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            seed=seed,
        )
    else:
        corrected = (
            harmony(scores, sample, theta=theta, max_iterations=max_iterations, seed=seed, threads=threads)
            if wanted
            else scores
        )
        indices, distances = nearest(corrected, k=n_neighbors, exact_below=exact_below, threads=threads)
        flat = layout(corrected, indices, distances, min_dist=min_dist, layout_cells=layout_cells, seed=seed)
    names = [
        *(f"PC_{i + 1}" for i in range(scores.shape[1])),
        *(f"harmony_{i + 1}" for i in range(scores.shape[1])),
        "umap_1",
        "umap_2",
    ]
    table = pd.DataFrame(
        np.hstack([scores, corrected, flat]), index=pd.Index(cells, name=CELL_ID, dtype=object), columns=names
    )
    table.insert(0, Obs.SAMPLE, np.asarray(samples, dtype=object)[sample])
    return table, indices, distances


def integrated(table: pd.DataFrame) -> np.ndarray:
    """The space of the neighbours: the Harmony columns of an embedding, cells × components, float32."""
    return table.filter(regex=r"^harmony_\d+$").to_numpy(np.float32)


def _sums(
    slices: Iterable[Slice],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[bytes, tuple[np.ndarray, int]], int]:
    """Uncentred products of genes; sums and measured cells by gene; sums and cells by set of measured genes; cells."""
    products: np.ndarray | None = None
    genes: np.ndarray | None = None
    patterns: dict[bytes, tuple[np.ndarray, int]] = {}
    counts, n_cells = np.zeros(0), 0
    for part in slices:
        if products is None or genes is None:
            genes, counts = part.genes, np.zeros(part.X.shape[1])
            products = np.zeros((part.X.shape[1],) * 2)
        if not np.array_equal(part.genes, genes):
            raise ValueError("slices hold different genes")
        products += gram(part.X)
        total, number = patterns.get(part.measured.tobytes(), (np.zeros(part.X.shape[1]), 0))
        column_sums = np.asarray(part.X.sum(axis=0, dtype=np.float64)).ravel()
        patterns[part.measured.tobytes()] = total + column_sums, number + len(part.cells)
        counts = counts + part.measured * len(part.cells)
        n_cells += len(part.cells)
    if products is None:
        raise BrainmetError("no sample is left to embed; shorten exclude: in your config")
    sums = np.sum([total for total, _ in patterns.values()], axis=0)
    return mirrored(products), sums, counts, patterns, n_cells
