"""New samples on a finished atlas: their cells placed among its cells and named by them, nothing recomputed.

The plan is Symphony's (Kang et al. 2021, doi 10.1038/s41467-021-25957-x). The atlas is compressed to the loadings of
its components and to clusters of its integrated space. A new sample is projected by the loadings, its own shift is
taken out cluster by cluster as Harmony does, with the atlas standing still, and its cells take the names of their
nearest cells there. Near is a small angle: loadings were fitted to the atlas' own cells, so that components of others
are smaller, and their lengths would put shallow and foreign cells beside whatever lies in the middle. A cell farther
from the atlas than cells of that type from different samples are from each other is flagged: the atlas may not hold
its like.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import CELL_ID, UNKNOWN, Obs
from brainmet.core.files import reading, replacing
from brainmet.core.neighbors import among
from brainmet.errors import BrainmetError
from brainmet.slice import Slice

log = logging.getLogger(__name__)

ROWS = 5_000
"""Cells of the atlas read at a time."""
LABELS = (Obs.SAMPLE, Obs.CELL_TYPE, Obs.LINEAGE, Obs.CLUSTER, Obs.MALIGNANCY)
CALIBRATED = 5_000
"""Cells of the atlas, drawn at random, that distances are calibrated on."""
OVER = 10
"""So many times more neighbours are searched to find those of other samples."""
MIN_CALIBRATED = 20
"""Cells of a type below which its limit is that of all types."""
_ARRAYS = ("mean", "loadings", "offset", "points", "layout", "centres", "weights", "sums")
BATCH_RIDGE = 1.0
"""Harmony's and Symphony's ridge on a batch's shift."""


@dataclass(frozen=True)
class Reference:
    """What mapping needs of an atlas.

    Attributes:
        genes: Ensembl ids of the variable genes.
        mean: of each, log1p per ten thousand.
        loadings: genes × components; the components of a cell are its centred values times these, and the offset.
        offset: mean components of the atlas' cells: not zero where the run left out samples after its embedding, as it
            does with duplicates.
        points: cells × components in the integrated space.
        layout: cells × 2.
        labels: by cell `sample, cell_type, lineage, cluster, malignancy`.
        centres: clusters × components, unit length.
        weights: cells of the atlas by cluster, soft.
        sums: clusters × components: the same cells' coordinates added up.
        limits: largest mean distance to the neighbours by cell type; the key "" for all others.
    """

    genes: np.ndarray
    mean: np.ndarray
    loadings: np.ndarray
    offset: np.ndarray
    points: np.ndarray
    layout: np.ndarray
    labels: pd.DataFrame
    centres: np.ndarray
    weights: np.ndarray
    sums: np.ndarray
    limits: dict[str, float]


def reference(
    path: str | Path, *, n_centres: int, softness: float, n_neighbors: int, unlike_quantile: float, seed: int
) -> Reference:
    """Compress a finished atlas.

    Args:
        path: `atlas.h5ad` of a run.
        n_centres: clusters of the integrated space at most; Symphony takes 100.
        softness: of the assignment to clusters; 0.1 in Harmony.
        n_neighbors: neighbours by which cells are named.
        unlike_quantile: quantile of the atlas' own distances between samples beyond which a cell is unlike it.
        seed: of clusters and of the cells that distances are calibrated on.

    Raises:
        BrainmetError: the file is no atlas of this workflow.
    """
    from anndata.io import read_elem

    try:
        with h5py.File(path) as file:
            obs, var = read_elem(file["obs"]), read_elem(file["var"])
            scores, points, layout = (file[f"obsm/{name}"][:] for name in ("X_pca", "X_harmony", "X_umap"))
            chosen = np.flatnonzero(var["highly_variable"].to_numpy(bool))
            labels = obs[list(LABELS)].astype(str).astype(object)
            # Samples that the atlas left out were counted too.
            measured = var["n_samples_measured"].to_numpy()
            partial = measured[chosen] < max(measured.max(), labels[Obs.SAMPLE].nunique())
            offset = scores.mean(axis=0, dtype=np.float64)
            mean, loadings = _loadings(file["X"], scores, chosen, partial, labels[Obs.SAMPLE].to_numpy())
    except (OSError, KeyError) as error:
        raise BrainmetError(
            f"{path}: is not an atlas of this workflow ({error}); "
            "give the atlas.h5ad of a finished run as project.atlas"
        ) from None
    centres = _centres(_unit(points), n=n_centres, seed=seed)
    share = _assigned(points, centres, softness)
    limits = _limits(scores, points, labels, n_neighbors=n_neighbors, quantile=unlike_quantile, seed=seed)
    n_cells, n_components = points.shape
    log.info("%d cells, %d genes, %d components, %d centres", n_cells, len(chosen), n_components, len(centres))
    return Reference(
        genes=var.index.to_numpy(object)[chosen],
        mean=mean,
        loadings=loadings,
        offset=offset,
        points=points,
        layout=layout,
        labels=labels,
        centres=centres,
        weights=share.sum(axis=0),
        sums=share.T @ points,
        limits=limits,
    )


def project(
    part: Slice,
    atlas: Reference,
    *,
    softness: float,
    n_neighbors: int,
    min_confidence: float,
    min_measured: float,
    sample: str,
) -> pd.DataFrame:
    """Place the cells of one new sample in the atlas and name them (`tables/projection.yaml`).

    Args:
        part: the sample's values of the atlas' variable genes.
        atlas: as `reference` returns it.
        softness: as in `reference`.
        n_neighbors: cells of the atlas that vote.
        min_confidence: share of the votes that a type needs; below it the lineage stands if it has as many, or unknown.
        min_measured: share of the variable genes that the sample must measure.
        sample: id.

    Raises:
        BrainmetError: too few of the atlas' variable genes are measured.
    """
    if part.measured.mean() < min_measured:
        raise BrainmetError(
            f"measures {part.measured.sum()} of the atlas' {len(part.genes)} variable genes, "
            f"project.min_measured wants {min_measured:.0%}; is it another organism or a targeted panel?"
        )
    places = map_cells(part, atlas, softness=softness, n_neighbors=n_neighbors)
    names = name_cells(places.near, atlas.labels, min_confidence=min_confidence)
    limit = np.array([atlas.limits.get(name, atlas.limits[""]) for name in names.nearest])
    unlike = places.distance > limit
    table = pd.DataFrame(
        {
            Obs.SAMPLE: sample,
            Obs.CELL_TYPE: names.cell_type,
            Obs.LINEAGE: names.lineage,
            Obs.CONFIDENCE: names.confidence,
            Obs.MALIGNANCY: names.malignancy,
            Obs.CLUSTER: names.cluster,
            "distance": places.distance,
            "limit": limit,
            "unlike": unlike,
            "umap_1": places.layout[:, 0],
            "umap_2": places.layout[:, 1],
        },
        index=pd.Index(part.cells, name=CELL_ID, dtype=object),
    )
    table[Obs.REASON] = explain(names, places.distance, limit, n_neighbors=places.near.shape[1])
    log.info("%s: %d cells, %.1f%% unlike the atlas", sample, len(table), 100 * unlike.mean())
    return table


class Places(NamedTuple):
    """Where new cells lie in the atlas.

    Attributes:
        near: cells × neighbours, rows of the atlas.
        distance: mean distance to the nearest cells before the sample's own shift is taken out.
        layout: cells × 2, the means of the neighbours' places, the nearer the heavier.
    """

    near: np.ndarray
    distance: np.ndarray
    layout: np.ndarray


def map_cells(part: Slice, atlas: Reference, *, softness: float, n_neighbors: int) -> Places:
    """Place the cells of a sample among those of the atlas."""
    centre = np.where(part.measured, atlas.mean, 0.0) @ atlas.loadings - atlas.offset
    scores = np.asarray(part.X @ atlas.loadings - centre, np.float32)
    directions = _unit(atlas.points)
    near, far = among(_unit(corrected(scores, atlas, softness=softness)), directions, k=n_neighbors)
    # Taking out a sample's shift also moves cells of a kind that the atlas lacks onto the nearest kind it has: how far
    # a cell is from the atlas is asked before.
    distance = among(_unit(scores), directions, k=n_neighbors)[1].mean(axis=1)
    weight = 1 / np.maximum(far, 1e-6)
    layout = np.einsum("cn,cnd->cd", weight / weight.sum(axis=1, keepdims=True), atlas.layout[near])
    return Places(near, distance, layout)


class Names(NamedTuple):
    """What the neighbours of each cell say.

    Attributes:
        cell_type: type, or the lineage or unknown where the neighbours do not agree on it.
        lineage: lineage, or unknown.
        malignancy, cluster: those of most neighbours.
        nearest: type of most neighbours, however few.
        confidence: the share of them.
    """

    cell_type: np.ndarray
    lineage: np.ndarray
    malignancy: np.ndarray
    cluster: np.ndarray
    nearest: np.ndarray
    confidence: np.ndarray


def name_cells(near: np.ndarray, labels: pd.DataFrame, *, min_confidence: float) -> Names:
    """Name cells by the votes of their neighbours.

    Args:
        near: cells × neighbours, rows of `labels`.
        labels: of the atlas' cells.
        min_confidence: share of the votes that a type needs; below it the lineage stands if it has as many.
    """
    nearest, confidence = _majority(labels[Obs.CELL_TYPE].to_numpy()[near])
    lineage, shared = _majority(labels[Obs.LINEAGE].to_numpy()[near])
    lineage = np.where(shared >= min_confidence, lineage, UNKNOWN)
    return Names(
        cell_type=np.where(confidence < min_confidence, lineage, nearest),
        lineage=lineage,
        malignancy=_majority(labels[Obs.MALIGNANCY].to_numpy()[near])[0],
        cluster=_majority(labels[Obs.CLUSTER].to_numpy()[near])[0],
        nearest=nearest,
        confidence=confidence,
    )


def explain(names: Names, distance: np.ndarray, limit: np.ndarray, *, n_neighbors: int) -> list[str]:
    """Why each cell is named as it is, in a sentence."""
    sentences = []
    for name, share, far, most in zip(names.nearest, names.confidence, distance, limit, strict=True):
        sentence = f"{round(share * n_neighbors)} of the {n_neighbors} nearest cells of the atlas are {name}"
        if far > most:
            sentence += f"; unlike the atlas: {far:.2f} away, such cells lie within {most:.2f}"
        sentences.append(sentence)
    return sentences


def corrected(scores: np.ndarray, atlas: Reference, *, softness: float) -> np.ndarray:
    """Components of a new sample without its own shift: a ridge regression per cluster, with the atlas as intercept.

    Args:
        scores: cells × components, as projected.
        atlas: the reference.
        softness: of the assignment to clusters.
    """
    share = _assigned(scores, atlas.centres, softness).astype(np.float64)
    result = scores.astype(np.float64)
    for k in range(len(atlas.centres)):
        n, total = share[:, k].sum(), share[:, k] @ scores
        # Unknowns: the intercept, held by the atlas' cells, and the shift of this sample.
        left = np.array([[atlas.weights[k] + n, n], [n, n + BATCH_RIDGE]])
        shift = np.linalg.solve(left, np.stack([atlas.sums[k] + total, total]))[1]
        result -= np.outer(share[:, k], shift)
    return result.astype(np.float32)


def summary(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of each sample by transferred type (`tables/projection_summary.yaml`)."""
    by = cells.groupby([Obs.SAMPLE, Obs.CELL_TYPE], sort=True)
    table = by.agg(n_cells=("unlike", "size"), confidence=(Obs.CONFIDENCE, "mean"), share_unlike=("unlike", "mean"))
    return table.reset_index()


def save(path: str | Path, atlas: Reference) -> None:
    """Write a reference as `.npz`."""
    arrays: dict[str, Any] = {name: getattr(atlas, name) for name in _ARRAYS}
    arrays |= {f"label_{name}": atlas.labels[name].to_numpy(str) for name in LABELS}
    arrays |= {"limit_types": np.array(list(atlas.limits), str), "limits": np.array(list(atlas.limits.values()))}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, genes=atlas.genes.astype(str), **arrays)


def load(path: str | Path) -> Reference:
    """Read a reference.

    Raises:
        BrainmetError: the file is damaged.
    """
    with reading(path, "an atlas' reference"), np.load(path) as file:
        arrays: dict[str, Any] = {name: file[name] for name in _ARRAYS}
        labels = pd.DataFrame({name: file[f"label_{name}"].astype(object) for name in LABELS})
        limits = dict(zip(map(str, file["limit_types"]), map(float, file["limits"]), strict=True))
        return Reference(genes=file["genes"].astype(object), labels=labels, limits=limits, **arrays)


def _loadings(
    X: h5py.Group, scores: np.ndarray, chosen: np.ndarray, partial: np.ndarray, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the variable genes, and the loadings that give the cells their components: least squares over all cells.

    As in the embedding, a gene that a sample did not measure moves none of its cells: one that some samples did not
    measure (`partial`) and that no cell of this one shows.
    """
    gram = np.zeros((len(chosen),) * 2)
    cross = np.zeros((len(chosen), scores.shape[1]))
    seen = dict.fromkeys(samples, ~partial)
    sums, counts = np.zeros(len(chosen)), np.zeros(len(chosen))
    for rows, block in _blocks(X, chosen):
        for sample in dict.fromkeys(samples[rows]):
            seen[sample] = seen[sample] | (np.asarray((block[samples[rows] == sample] > 0).sum(axis=0)).ravel() > 0)
        sums += np.asarray(block.sum(axis=0)).ravel()
    for sample, genes in seen.items():
        counts += genes * (samples == sample).sum()
    mean = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    for rows, block in _blocks(X, chosen):
        centred = block.toarray().astype(np.float64) - mean
        for sample in dict.fromkeys(samples[rows]):
            centred[np.ix_(samples[rows] == sample, ~seen[sample])] = 0.0
        gram += centred.T @ centred
        cross += centred.T @ scores[rows]
    gram[np.diag_indices_from(gram)] += 1e-8 * np.trace(gram) / len(gram)
    return mean, np.linalg.solve(gram, cross)


def _blocks(X: h5py.Group, chosen: np.ndarray) -> Iterator[tuple[slice, sp.csr_matrix]]:
    """Blocks of cells of the atlas with the variable genes."""
    indptr, n_genes = X["indptr"][:], int(X.attrs["shape"][1])
    for start in range(0, len(indptr) - 1, ROWS):
        stop = min(start + ROWS, len(indptr) - 1)
        first, last = int(indptr[start]), int(indptr[stop])
        arrays = (X["data"][first:last], X["indices"][first:last], indptr[start : stop + 1] - first)
        yield slice(start, stop), sp.csr_matrix(arrays, shape=(stop - start, n_genes))[:, chosen]


def _unit(points: np.ndarray) -> np.ndarray:
    """Directions: distances between them are 0 for the same one and √2 for unrelated ones."""
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def _centres(unit: np.ndarray, *, n: int, seed: int) -> np.ndarray:
    """Centres of spherical k-means, at most one per thirty cells."""
    import faiss

    faiss.omp_set_num_threads(1)
    k = max(1, min(n, len(unit) // 30))
    means = faiss.Kmeans(unit.shape[1], k, niter=25, seed=seed, spherical=True, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(unit, dtype=np.float32))
    return np.asarray(means.centroids, np.float32)


def _assigned(points: np.ndarray, centres: np.ndarray, softness: float) -> np.ndarray:
    """Share of every cluster in every cell: softmax of the cosine distances, as in Harmony."""
    logits = -2 * (1 - _unit(points) @ centres.T) / softness
    logits -= logits.max(axis=1, keepdims=True)
    share = np.exp(logits)
    return share / share.sum(axis=1, keepdims=True)


def _limits(
    scores: np.ndarray, points: np.ndarray, labels: pd.DataFrame, *, n_neighbors: int, quantile: float, seed: int
) -> dict[str, float]:
    """By cell type, how far its cells lie from the nearest cells of other samples.

    A cell lies where its components put it, the others where integration did: so is a new cell seen. A type that other
    samples hardly hold is measured within its own sample, which is stricter.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(points))[:CALIBRATED])
    samples, types = labels[Obs.SAMPLE].to_numpy(), labels[Obs.CELL_TYPE].to_numpy()
    near, far = among(_unit(scores[rows]), _unit(points), k=OVER * n_neighbors + 1)
    alone = near != rows[:, None]
    other = alone & (samples[near] != samples[rows][:, None])
    within, _ = _nearest(alone, far, types[near], types[rows], k=n_neighbors)
    across, held = _nearest(other, far, types[near], types[rows], k=n_neighbors)
    limits = {}
    for name in sorted(set(types[rows])):
        own = types[rows] == name
        distances = across[own & held] if (own & held).sum() >= MIN_CALIBRATED else within[own]
        if len(distances) >= MIN_CALIBRATED:
            limits[str(name)] = float(np.quantile(distances, quantile))
    return limits | {"": float(np.quantile(across[held] if held.any() else within, quantile))}


def _nearest(
    wanted: np.ndarray, far: np.ndarray, types: np.ndarray, own: np.ndarray, *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance to the first `k` wanted neighbours; whether there are so many and most are of the own type."""
    first = wanted & (np.cumsum(wanted, axis=1) <= k)
    n = first.sum(axis=1)
    alike = (first & (types == own[:, None])).sum(axis=1)
    return np.where(first, far, 0).sum(axis=1) / np.maximum(n, 1), (n >= k) & (2 * alike > k)


def _majority(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent label of each row, the first in the alphabet of equals, and its share."""
    levels, codes = np.unique(votes.astype(str), return_inverse=True)
    counts = np.zeros((len(votes), len(levels)), np.int32)
    np.add.at(counts, (np.arange(len(votes))[:, None], codes.reshape(votes.shape)), 1)
    best = counts.argmax(axis=1)
    return levels.astype(object)[best], counts[np.arange(len(votes)), best] / votes.shape[1]
