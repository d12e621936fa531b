"""Copy number of each cell from the expression of neighbouring genes, against the sample's own normal cells.

Candidates are cells whose identity can be a tumour's: epithelial and melanocytic ones, but not those of the choroid
plexus; in a glioma those that resemble astrocytes and precursors, and stroma, which glioma cells imitate. All other
clear cells of the sample are the reference, a category each. Mature oligodendrocytes and neurons are no candidates in a
glioma either, for its cells take on the states of precursors (Neftel 2019, doi 10.1016/j.cell.2019.06.024). A group is
aneuploid when arms shift as a whole, tested over genes and measured by how far the arms of one normal category lie from
the others': lineages have programmes, and these move arms too. Its profile along the genome is then what every cell of
the sample is compared with: the slope of a cell's windows on that profile is about 1 for tumour cells and 0 for normal
ones at any depth. Cells of the reference with a tumour's slope leave it, and all is done again (second pass); such
cells are how tumour cells with a mesenchymal programme are found.

Where a sample holds several donors, each has a profile of its own, for tumours of different people share little of
their copy number; the reference is that of all donors, measured together. Human cells alone: genes of a mouse enter
under human names, and their order on the chromosomes is another.
"""

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.annotate import NOTE
from brainmet.annotate.marker_scores import scored, scores_of
from brainmet.conditions import GLIOMA
from brainmet.contract import Obs, Uns
from brainmet.copy_number import (
    ARMS,
    GeneOrder,
    gene_order,
    window_weights,
    windowed,
)
from brainmet.copy_number.aneuploidy import HALF, ArmLimits, arm_tests, border, lineage_scale
from brainmet.core.counts import Counts
from brainmet.core.neighbors import nearest
from brainmet.core.robust import mad_sd
from brainmet.knowledge.cell_types import CellTypes

SCOPE = "sample"
REQUIRES = ("counts", "cells", "markers", "types")
IN_WORDS = "copy number"
log = logging.getLogger(__name__)

PASSES = 2
HIDDEN_Z = 4.0
"""A cell of the reference is taken out as a hidden tumour cell from this many robust standard deviations above it on,
if it also goes more than half of the way to the tumour's profile."""
MIN_SPREAD = 0.05
"""Least spread of the reference's slopes: in one of few or very even cells, chance alone would be many deviations."""
CLEAR_LEAD = 0.1
"""Lead in marker score that the best class of a reference cell needs."""
MIN_CATEGORY = 10
"""Cells that a category of the reference needs to be compared with the others."""
MIN_UPPER = 0.1
"""Least share of a class's candidates that the altered ones among them make, or all are taken for one group."""
NOT_HUMAN = "the cells are not human, and chromosome arms differ"

GLIOMA_CLASSES = ("astrocyte", "opc", "mural", "fibroblast")
"""Coarse classes that a glioma's cells are taken for."""
OF_TUMOUR = ("shift", "fdr", "genes")
"""What is said of each arm of a donor's most aneuploid group."""


@dataclass(frozen=True)
class Sample:
    """What both passes work on: genes × cells in genomic order, smoothing, and who may be what.

    Attributes:
        linear: counts, each cell scaled to the same total.
        logs: their `log1p`.
        order: of the genes.
        depth: counts of each cell.
        near: cells × cells, by which a product is the mean over a cell and its neighbours of the same donor.
        group: class of each cell over its neighbours.
        candidate: whether a cell can be a tumour's.
        donor: of each cell.
        human: whether a cell is of a human.
    """

    linear: sp.csr_matrix
    logs: sp.csr_matrix
    order: GeneOrder
    depth: np.ndarray
    near: sp.csr_matrix
    group: np.ndarray
    candidate: np.ndarray
    donor: np.ndarray
    human: np.ndarray


def annotate(
    counts: Counts,
    cells: pd.DataFrame,
    markers: pd.DataFrame,
    *,
    types: CellTypes,
    window: int,
    step: int,
    clip: float,
    min_gene_share: float,
    min_reference: int,
    min_group: int,
    n_neighbors: int,
    min_arm_genes: int,
    min_arm_t: float,
    min_arms: int,
    min_arm_shift: float,
    max_fdr: float,
) -> pd.DataFrame:
    """Copy-number evidence of every kept cell.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        markers: evidence of the method `markers`.
        types: the resource.
        window, step: genes per window, and from one window to the next.
        clip: largest log difference that a single gene may add to a cell's window.
        min_gene_share: share of cells that detect a gene, below which it is left out.
        min_reference: reference cells below which nothing is inferred.
        min_group: candidate cells of a donor below which a group is not tested.
        n_neighbors: cells over which a profile is averaged, at most a twentieth of the sample or the donor's cells.
        min_arm_genes, min_arm_t, min_arm_shift: an arm is called from this many genes, t statistic and log shift on.
        max_fdr: false discovery rate over the arms of a group at which an arm is called.
        min_arms: arms called, from which on a group is aneuploid.

    Returns:
        Index cell id; `note`; `cnv_slope` (1 like the tumour's profile, 0 like the reference), `cnv_z` (the slope in
        robust standard deviations of the reference), `cnv_burden` (root mean square of the windows), `cnv_aneuploid`
        (arms called in the cell's tumour profile), `n_reference`, `arm_{arm}` (mean log difference of the cell), and,
        of the donor's most aneuploid group, `shift_{arm}`, `fdr_{arm}` and `genes_{arm}`. NaN where nothing can be
        inferred, with the reason in `note`.
    """
    if counts.uns.get(Uns.ORGANISM) == "mouse":
        return _nothing(markers.index, NOT_HUMAN, 0)
    sample = _prepare(counts, cells, markers, types, min_gene_share=min_gene_share, n_neighbors=n_neighbors)
    index = markers.index
    reference = sample.human & ~sample.candidate & _confident(markers, types)
    # Other candidate cells are no stand-in: in a glioma they would be tumour, and normal cells would seem to gain.
    if reference.sum() < min_reference or len(sample.order.columns) < 2 * window:
        text = (
            f"too few reference cells ({int(reference.sum())}) or genes ({len(sample.order.columns)}) for copy number"
        )
        log.warning(text)
        return _nothing(index, text, int(reference.sum()))
    weights = window_weights(sample.order.chromosome, window=window, step=step)
    limits = ArmLimits(
        min_genes=min_arm_genes, min_t=min_arm_t, min_shift=min_arm_shift, min_arms=min_arms, max_fdr=max_fdr
    )
    for turn in range(PASSES):
        values = _windows(sample, reference, weights, clip=clip)
        best, tumour = _profiles(sample, values, reference, min_group=min_group, limits=limits)
        hidden = reference & (best["cnv_z"].to_numpy() > HIDDEN_Z) & (best["cnv_slope"].to_numpy() > HALF)
        log.info("pass %d: %d reference cells, %d of them like the tumour", turn + 1, reference.sum(), hidden.sum())
        if not hidden.any() or (reference & ~hidden).sum() < min_reference:
            break
        reference &= ~hidden
    table = best.set_index(index)
    table["cnv_burden"] = np.sqrt((values**2).mean(axis=1))
    table["n_reference"] = np.float32(reference.sum())
    arms = [_arms(sample, reference).set_index(index), _called(tumour, sample.donor, index)]
    return _without(pd.concat([table, *arms], axis=1), sample, min_group=min_group)


def _prepare(
    counts: Counts,
    cells: pd.DataFrame,
    markers: pd.DataFrame,
    types: CellTypes,
    *,
    min_gene_share: float,
    n_neighbors: int,
) -> Sample:
    keep = counts.kept(cells)
    depth, shown = np.zeros(0), np.zeros(counts.shape[1], int)
    for block in counts.linear_chunks(keep):
        depth = np.append(depth, block.sum(axis=1, dtype=np.float64))
        shown += block.getnnz(axis=0)
    order = gene_order(counts.genes, shown >= min_gene_share * max(len(depth), 1))
    # Scaled to the sample's own depth, not to ten thousand: one read of a shallow cell is then one, not a peak.
    target = float(np.clip(np.median(depth), 1, 1e4)) if len(depth) else 1.0
    linear = _genes_by_cells(counts, keep, order.columns, shown[order.columns])
    linear.data *= (target / np.maximum(depth, 1)).astype(np.float32)[linear.indices]
    logs = sp.csr_matrix((np.log1p(linear.data), linear.indices, linear.indptr), shape=linear.shape)
    broad = scored(markers, types.decided("broad", "clear"))
    scores = scores_of(markers, broad)
    about = cells.loc[keep, [Obs.DONOR, Obs.CONDITION]]
    donor = about[Obs.DONOR].to_numpy(object)
    near = _near(scores, np.zeros(len(scores), int), n_neighbors=n_neighbors)
    smooth = near @ scores
    if len(set(donor)) > 1:
        near = _near(scores, pd.factorize(donor)[0], n_neighbors=n_neighbors)
    group = np.array([types.coarse(name) for name in broad], dtype=object)[smooth.argmax(axis=1)]
    of_tumour = np.isin(broad, types.of_tumours())[smooth.argmax(axis=1)]
    glioma = (about[Obs.CONDITION] == GLIOMA).to_numpy()
    # Mixtures of human and mouse say it of each cell.
    organism = counts.cells[Uns.ORGANISM].to_numpy()[keep] if Uns.ORGANISM in counts.cells else np.array(["human"])
    human = np.broadcast_to(organism == "human", len(donor))
    candidate = human & (of_tumour | (glioma & np.isin(group, GLIOMA_CLASSES)))
    # What a glioma's cells imitate is one tumour, whichever state each cell is in.
    group[glioma & candidate & ~of_tumour] = GLIOMA
    return Sample(linear, logs, order, depth, near, group, candidate, donor, human)


def _genes_by_cells(counts: Counts, keep: np.ndarray, columns: np.ndarray, shown: np.ndarray) -> sp.csr_matrix:
    """Genes × kept cells, each block put in its place: whole by cells too it would take twice the memory.

    Args:
        counts: the sample.
        keep: by cell.
        columns: the genes.
        shown: kept cells that show each of them.
    """
    indptr = np.append(0, np.cumsum(shown))
    data, indices = np.empty(indptr[-1], np.float32), np.empty(indptr[-1], np.int32)
    free, start = indptr[:-1].copy(), 0
    for block in counts.linear_chunks(keep):
        part = block[:, columns].T.tocsr()
        sizes = np.diff(part.indptr)
        place = np.repeat(free - part.indptr[:-1], sizes) + np.arange(part.nnz)
        data[place], indices[place] = part.data, part.indices + start
        free, start = free + sizes, start + block.shape[0]
    return sp.csr_matrix((data, indices, indptr), shape=(len(columns), start))


def _near(scores: np.ndarray, part: np.ndarray, *, n_neighbors: int) -> sp.csr_matrix:
    """Means over each cell and its neighbours in scores, cells × cells; none reaches from one part to another."""
    n = len(scores)
    neighbours = np.full((n, min(n_neighbors, max(1, n // 20)) + 1), -1)
    neighbours[:, 0] = np.arange(n)
    for code in range(part.max(initial=-1) + 1):
        members = np.flatnonzero(part == code)
        k = min(n_neighbors, max(1, len(members) // 20), len(members) - 1)
        if k > 0:
            neighbours[members, 1 : k + 1] = members[
                nearest(scores[members], k=k, exact_below=len(members), threads=1)[0]
            ]
    known = neighbours >= 0
    sizes = known.sum(axis=1)
    shares = np.repeat((1 / np.maximum(sizes, 1)).astype(np.float32), sizes)
    return sp.csr_matrix((shares, neighbours[known], np.r_[0, np.cumsum(sizes)]), shape=(n, n))


def _confident(markers: pd.DataFrame, types: CellTypes) -> np.ndarray:
    """Cells whose best class leads the next by a clear margin: others are no reference."""
    broad = scored(markers, types.decided("broad"))
    scores = scores_of(markers, broad)
    groups = np.array([types.coarse(name) for name in broad])
    best = np.stack([scores[:, groups == name].max(axis=1) for name in sorted(set(groups))], axis=1)
    top = np.sort(best, axis=1)[:, -2:]
    return (top[:, 1] - top[:, 0]) > CLEAR_LEAD


def _windows(sample: Sample, reference: np.ndarray, weights: np.ndarray, *, clip: float) -> np.ndarray:
    """Smoothed windows of each cell less the reference, free of what follows depth in the reference."""
    centre = _sums(sample.logs, reference) / reference.sum()
    values = windowed(sample.logs, sample.order.chromosome, weights, centre, clip=clip)
    values -= np.median(values, axis=1, keepdims=True)
    depth = np.log(np.maximum(sample.depth, 1)).astype(np.float32)
    depth -= depth[reference].mean()
    # Least squares: depth is centred, so that level and slope are found apart.
    known, slope = values[reference], depth[reference] @ values[reference]
    values -= known.mean(axis=0) + depth[:, None] * slope / max(float(depth[reference] @ depth[reference]), 1e-12)
    # Half the cell itself, half its neighbours: a neighbourhood across a border must not move a cell over it.
    values += sample.near @ values
    values *= np.float32(0.5)
    return values


def _profiles(
    sample: Sample,
    values: np.ndarray,
    reference: np.ndarray,
    *,
    min_group: int,
    limits: ArmLimits,
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Slope of every cell on its donor's tumour profile that fits it best, and arms of each donor's most aneuploid
    group.
    """
    n = len(sample.group)
    best = pd.DataFrame({NOTE: np.full(n, "", object), "cnv_slope": 0.0, "cnv_z": 0.0, "cnv_aneuploid": 0.0})
    tumour: dict[str, pd.DataFrame] = {}
    most: dict[str, int] = {}
    categories = _categories(sample, reference)
    scale = lineage_scale(categories, sample.order.arm, min_genes=limits.min_genes)
    groups = _groups(sample, values, sample.candidate & ~reference, min_group=min_group)
    sums = _sums(sample.linear, np.array(list(groups.values()), bool).reshape(-1, n))
    for ((donor, name), members), counts in zip(groups.items(), sums, strict=True):
        arms = arm_tests(counts, categories, sample.order.arm, scale=scale, min_genes=limits.min_genes)
        called = arms[limits.changed(arms)]
        log.info("%s, %s: %d cells, arms called: %s", donor, name, members.sum(), _text(called) or "none")
        if len(called) < limits.min_arms:
            continue
        if len(called) > most.get(donor, 0):
            most[donor], tumour[donor] = len(called), arms
        slope = _slope(values, members)
        z = (slope - np.median(slope[reference])) / max(mad_sd(slope[reference]), MIN_SPREAD)
        # The tumour of one donor says nothing of another's cells.
        better = (sample.donor == donor) & (z > best["cnv_z"].to_numpy())
        best.loc[better, [NOTE]] = _text(called)
        best.loc[better, "cnv_slope"] = slope[better]
        best.loc[better, "cnv_z"] = z[better]
        best.loc[better, "cnv_aneuploid"] = float(len(called))
    best[NOTE] = np.where(best["cnv_slope"] > HALF, best[NOTE], "")
    return best.astype({"cnv_slope": np.float32, "cnv_z": np.float32, "cnv_aneuploid": np.float32}), tumour


def _groups(
    sample: Sample, values: np.ndarray, candidate: np.ndarray, *, min_group: int
) -> dict[tuple[str, str], np.ndarray]:
    """Masks of the candidates by donor and class, those of at least `min_group` cells, without the normal ones among
    them.
    """
    groups = {}
    for donor, name in sorted(set(zip(sample.donor[candidate], sample.group[candidate], strict=True))):
        members = candidate & (sample.donor == donor) & (sample.group == name)
        if members.sum() < min_group:
            continue
        slope = _slope(values, members)
        upper = members & (slope > border(slope[members]))
        groups[donor, name] = upper if upper.sum() >= max(min_group, MIN_UPPER * members.sum()) else members
    return groups


def _slope(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Least-squares slope of each cell's windows on the mean of the members."""
    profile = values[members].mean(axis=0)
    return values @ profile / max(float(profile @ profile), 1e-12)


def _categories(sample: Sample, reference: np.ndarray) -> np.ndarray:
    """Sums by gene of the reference categories with enough cells; of all reference cells where none has enough."""
    names = [
        name
        for name in sorted(set(sample.group[reference]))
        if (reference & (sample.group == name)).sum() >= MIN_CATEGORY
    ]
    return _sums(sample.linear, np.array([reference & (sample.group == name) for name in names] or [reference]))


def _sums(X: sp.csr_matrix, cells: np.ndarray) -> np.ndarray:
    """Sum of each gene over some of the cells, or over each of several groups of them."""
    return np.asarray(X @ np.ascontiguousarray(cells.T, dtype=X.dtype)).T


def _called(tumour: dict[str, pd.DataFrame], donor: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """What is said of the tumour arms of each cell's donor; NaN without a tumour profile."""
    codes, donors = pd.factorize(donor)
    columns = [f"{name}_{arm}" for name in OF_TUMOUR for arm in ARMS]
    rows = np.full((len(donors), len(columns)), np.nan, np.float32)
    for i, name in enumerate(donors):
        if name in tumour:
            table = tumour[name].rename(columns={"n_genes": "genes"}).reindex(index=list(ARMS), columns=list(OF_TUMOUR))
            rows[i] = table.to_numpy(np.float32).T.ravel()
    return pd.DataFrame(rows[codes], index=index, columns=columns)


def _without(table: pd.DataFrame, sample: Sample, *, min_group: int) -> pd.DataFrame:
    """The table without what cannot be said: of other species, and of donors of a shared sample with few candidates."""
    numbers = [c for c in table if c not in (NOTE, "n_reference")]
    table.loc[~sample.human, [NOTE]], table.loc[~sample.human, numbers] = NOT_HUMAN, np.nan
    donors = sorted(set(sample.donor))
    for donor in donors if len(donors) > 1 else ():
        of_donor = sample.donor == donor
        largest = max(Counter(sample.group[of_donor & sample.candidate]).values(), default=0)
        if largest < min_group:
            text = f"{largest} of the donor's cells can be a tumour's, {min_group} needed"
            table.loc[of_donor & sample.human, [NOTE]] = text
            table.loc[of_donor, ["cnv_slope", "cnv_z", "cnv_aneuploid"]] = np.nan
    return table


def _arms(sample: Sample, reference: np.ndarray) -> pd.DataFrame:
    """Mean difference to the reference of each cell's genes by arm; NaN for arms without genes."""
    centre = _sums(sample.logs, reference) / reference.sum()
    member = sp.csr_matrix(sample.order.arm[None, :] == np.array(ARMS, dtype=object)[:, None], dtype=np.float32)
    sums = (member @ sample.logs).toarray().T - member @ centre
    with np.errstate(invalid="ignore"):
        means = sums / np.asarray(member.sum(axis=1)).ravel()
    means -= np.nanmedian(means, axis=1, keepdims=True)
    return pd.DataFrame(means, columns=[f"arm_{arm}" for arm in ARMS])


def _text(called: pd.DataFrame) -> str:
    parts = {
        word: [str(arm) for arm in called.index[sign * called["shift"] > 0]]
        for word, sign in (("gain of", 1), ("loss of", -1))
    }
    return "; ".join(f"{word} {', '.join(arms)}" for word, arms in parts.items() if arms)


def _nothing(index: pd.Index, text: str, n_reference: int) -> pd.DataFrame:
    columns = ["cnv_slope", "cnv_z", "cnv_aneuploid", "cnv_burden"]
    columns += [f"{name}_{arm}" for name in ("arm", *OF_TUMOUR) for arm in ARMS]
    table = pd.DataFrame(np.nan, index=index, columns=columns, dtype=np.float32)
    table.insert(0, NOTE, text)
    table["n_reference"] = np.float32(n_reference)
    return table
