"""What integration did: samples mixed, types kept apart, tumours of donors merged or not; and a space of tumour cells
that nothing was integrated in.

The local inverse Simpson index (LISI, Korsunsky et al. 2019, doi 10.1038/s41592-019-0619-0) is the effective number of
labels in a cell's neighbourhood: over donors it tells mixing (iLISI), over types conservation (cLISI). A rare type that
another one swallows has a pure neighbourhood, and so a good LISI; therefore the share of a cell's own label among its
nearest cells stands beside it, and alarms are read from that share.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from brainmet.contract import CELL_ID, MALIGNANT_TIERS, UNKNOWN, Obs, Tier, is_malignant
from brainmet.core.lazy import Lazy
from brainmet.core.neighbors import nearest
from brainmet.core.tables import columns
from brainmet.embed import components, integrated
from brainmet.embed.layout import layout
from brainmet.slice import Slice

log = logging.getLogger(__name__)

APART = 0.5
"""Own share from which on cells lay apart: what was mixed before is not merged by integration."""
FEWEST = 3
"""Cells that components can be computed of."""


def integration(
    embedding: pd.DataFrame,
    annotation: pd.DataFrame,
    *,
    perplexity: int,
    min_cells: int,
    max_cells: int,
    max_loss: float,
    seed: int,
) -> pd.DataFrame:
    """Mixing and conservation before and after integration, with alarms.

    Levels: `mixing` of donors among normal and among malignant cells; `tumours`, every donor's malignant cells among
    those of all donors; `types`, every cell type among all cells. Medians over cells; equal before and after where
    nothing was integrated.

    Args:
        embedding: components before (`PC_`) and after (`harmony_`).
        annotation: `study, donor, cell_type, malignancy` of the same cells.
        perplexity: effective number of neighbours of LISI; three times as many are looked at.
        min_cells: cells that a donor's tumour or a type needs.
        max_cells: of more cells so many are drawn.
        max_loss: share of the own label among a cell's nearest cells that integration may cost before an alarm.
        seed: of the drawing.

    Returns:
        The columns of `integration.tsv`.
    """
    table = embedding.loc[annotation.index]
    if len(table) > max_cells:
        drawn = np.sort(np.random.default_rng(seed).choice(len(table), max_cells, replace=False))
        table, annotation = table.iloc[drawn], annotation.iloc[drawn]
    spaces = table.filter(regex=r"^PC_\d+$").to_numpy(np.float32), integrated(table)
    donor = (annotation[Obs.STUDY] + ":" + annotation[Obs.DONOR]).to_numpy(object)
    kind = annotation[Obs.CELL_TYPE].to_numpy(object)
    malignant = annotation[Obs.MALIGNANCY].isin(MALIGNANT_TIERS).to_numpy()
    normal = (annotation[Obs.MALIGNANCY] == Tier.NORMAL).to_numpy() & (kind != UNKNOWN)
    options = {"perplexity": perplexity, "min_cells": min_cells}
    of_donors = {
        name: _measured(spaces, donor, rows, **options) for name, rows in (("normal", normal), ("malignant", malignant))
    }
    rows = [
        *_mixing(of_donors),
        *_by_label("tumours", "malignant", of_donors["malignant"], max_loss=max_loss),
        *_by_label("types", "all", _measured(spaces, kind, kind != UNKNOWN, **options), max_loss=max_loss),
    ]
    found = pd.DataFrame(rows, columns=columns("integration"))
    for sentence in found["alarm"][found["alarm"] != ""]:
        log.warning(sentence)
    return found


def lisi(distances: np.ndarray, codes: np.ndarray, *, perplexity: float) -> np.ndarray:
    """Effective number of labels among each cell's neighbours (local inverse Simpson index).

    Neighbours weigh by a Gaussian whose width gives them the stated perplexity, as in t-SNE and in harmonypy's
    `compute_lisi`, which compares all pairs of cells and takes minutes where this takes seconds.

    Args:
        distances: cells × neighbours, Euclidean.
        codes: cells × neighbours, label of each neighbour from 0 on.
        perplexity: effective number of neighbours, below their number.
    """
    target, n = np.log(perplexity), len(distances)
    distances = distances - distances.min(axis=1, keepdims=True)  # weights are relative: far neighbours must not vanish
    beta, low, high = np.ones(n), np.zeros(n), np.full(n, np.inf)
    for _ in range(50):
        weight = np.exp(-distances * beta[:, None])
        total = np.maximum(weight.sum(axis=1), 1e-300)
        entropy = np.log(total) + beta * (distances * weight).sum(axis=1) / total
        wide = entropy > target
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2, (low + high) / 2)
    weight = np.exp(-distances * beta[:, None])
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    shares = np.array([np.where(codes == label, weight, 0).sum(axis=1) for label in range(int(codes.max()) + 1)])
    return np.asarray(1 / np.maximum((shares**2).sum(axis=0), 1e-300))


def malignant_embedding(
    slices: Sequence[Slice],
    annotation: pd.DataFrame,
    *,
    n_components: int,
    scale: bool,
    n_neighbors: int,
    exact_below: int,
    min_dist: float,
    layout_cells: int,
    seed: int,
) -> pd.DataFrame:
    """Components and layout of the malignant cells alone, not integrated: tumours stay as different as they are.

    Args:
        slices: one per sample, each read twice.
        annotation: which cells are malignant or likely malignant.
        n_components, scale, n_neighbors, exact_below, min_dist, layout_cells, seed: see `brainmet.embed`.

    Returns:
        Index cell id; `sample, PC_1.., umap_1, umap_2`; no row where there are fewer than three such cells.

    Raises:
        BrainmetError: a slice cannot be read.
    """
    malignant = annotation.index[annotation[Obs.MALIGNANCY].isin(MALIGNANT_TIERS)]
    if len(malignant) < FEWEST:
        log.info("no space of malignant cells: there are %d, fewer than %d", len(malignant), FEWEST)
        scores, cells = np.zeros((0, 0), np.float32), np.zeros(0, object)
        flat = np.zeros((0, 2), np.float32)
    else:
        parts = Lazy(slices, partial(_only, cells=set(malignant)))
        scores, _, cells, _ = components(parts, n_components=n_components, scale=scale)
        near = nearest(scores, k=n_neighbors, exact_below=exact_below, threads=1)
        flat = layout(scores, *near, min_dist=min_dist, layout_cells=layout_cells, seed=seed)
    names = [*(f"PC_{i + 1}" for i in range(scores.shape[1])), "umap_1", "umap_2"]
    index = pd.Index(cells, name=CELL_ID, dtype=object)
    table = pd.DataFrame(np.hstack([scores, flat]).astype(np.float32), index=index, columns=names)
    table.insert(0, Obs.SAMPLE, annotation[Obs.SAMPLE].reindex(index).to_numpy(object))
    return table


def _only(part: Slice, *, cells: set[str]) -> Slice:
    """A slice of some of the cells."""
    rows = np.flatnonzero([cell in cells for cell in part.cells])
    return replace(part, X=part.X[rows], cells=part.cells[rows])


def _mixing(groups: dict[str, tuple[pd.DataFrame, int] | None]) -> Iterator[tuple]:
    """LISI over donors among the cells of each group."""
    for name, found in groups.items():
        if found is not None:
            table, n_labels = found
            yield ("mixing", name, "", len(table), n_labels, *table.drop(columns="label").median(), "")


def _by_label(level: str, group: str, found: tuple[pd.DataFrame, int] | None, *, max_loss: float) -> Iterator[tuple]:
    """LISI and own share of each label's cells; an alarm where the own share fell."""
    if found is None:
        return
    table, n_labels = found
    sizes, medians = table["label"].value_counts(), table.groupby("label", sort=True).median()
    for name, (lisi_before, lisi_after, before, after) in zip(medians.index, medians.to_numpy(), strict=True):
        alarm = ""
        if before >= APART and after < (1 - max_loss) * before:
            alarm = _alarm(level, str(name), before, after)
        yield (level, group, name, int(sizes[name]), n_labels, lisi_before, lisi_after, before, after, alarm)


def _alarm(level: str, name: str, before: float, after: float) -> str:
    tumour = level == "tumours" or is_malignant(name)
    what = f"tumour cells of {name}" if level == "tumours" else name
    advice = "read them in the space of malignant cells" if tumour else "try embed.integrate: none"
    return (
        f"integration merged {what} with others: of their nearest cells {100 * before:.0f} % were their own before, "
        f"{100 * after:.0f} % after; {advice}"
    )


def _measured(
    spaces: tuple[np.ndarray, np.ndarray], label: np.ndarray, rows: np.ndarray, *, perplexity: int, min_cells: int
) -> tuple[pd.DataFrame, int] | None:
    """Label, LISI and own share of each cell of the rows before and after; None with fewer than two labels."""
    names, sizes = np.unique(label[rows].astype(str), return_counts=True)
    kept = rows & np.isin(label.astype(str), names[sizes >= min_cells])
    codes, known = pd.factorize(label[kept], sort=True)
    if len(known) < 2:
        return None
    k = int(min(3 * perplexity, kept.sum() - 1))
    close = int(min(perplexity, k, np.bincount(codes).min() - 1))
    columns: dict[str, np.ndarray] = {}
    for when, points in zip(("before", "after"), spaces, strict=True):
        near, far = nearest(points[kept], k=k, exact_below=int(kept.sum()), threads=1)
        columns[f"lisi_{when}"] = lisi(far.astype(np.float64), codes[near], perplexity=min(perplexity, k / 3))
        columns[f"own_{when}"] = (codes[near[:, :close]] == codes[:, None]).mean(axis=1)
    order = ["lisi_before", "lisi_after", "own_before", "own_after"]
    return pd.DataFrame({"label": label[kept], **{name: columns[name] for name in order}}), len(known)
