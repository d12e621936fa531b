"""Class profiles learned from each dataset's own clearest cells, and every cell compared with them.

Markers are few and shallow cells show none of them; the informative genes are thousands. Cells that their markers place
most clearly are averaged to one profile per type, every cell is compared with all profiles, and the clearest of the
result are averaged again. A class too rare for that is learned where cells that its markers single out lie together,
and called only there. No outside data enter, and no dataset learns from another platform. Slices are read one at a
time.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import softmax

from brainmet.annotate import NOTE, VOTE
from brainmet.annotate.context import LEFT_OUT, blended, positions
from brainmet.annotate.marker_scores import Islands, clearly, islands, scored, shown, told_apart, yielding
from brainmet.contract import Obs, Var
from brainmet.core.lazy import some
from brainmet.knowledge.cell_types import CellTypes
from brainmet.slice import Slice

SCOPE = "cohort"
REQUIRES = ("slices", "features", "cells", "markers", "context", "types")
IN_WORDS = "profiles learned from each type's clearest cells"
log = logging.getLogger(__name__)

ALONE = 10.0
"""Steepness with which a type without a profile takes over, per unit of marker score."""


@dataclass(frozen=True)
class Profiles:
    """Mean of each variable gene by type, of the cohort and of each sample.

    Attributes:
        mean: samples × types × genes, log units; the cohort's times the sample's factor.
        n_seeds: cells of the cohort behind each type; types without cells are not compared.
    """

    mean: np.ndarray
    n_seeds: np.ndarray


@dataclass(frozen=True)
class Kinds:
    """The types that a cell may be of.

    Attributes:
        names: ids of the types.
        classes: of each, what it stands for beside others; types of one class are no rivals.
        lineages: of each.
    """

    names: list[str]
    classes: np.ndarray
    lineages: np.ndarray


@dataclass(frozen=True)
class Start:
    """What the markers say before anything is learned.

    Attributes:
        marker: cells × types, scores; -inf where a cell is no candidate.
        inside: cells × types, whether the cell's own markers allow the type.
        islands: cells of rare types that lie together.
    """

    marker: np.ndarray
    inside: np.ndarray
    islands: Islands

    def take(self, rows: np.ndarray) -> "Start":
        """The same for some of the cells."""
        return Start(self.marker[rows], self.inside[rows], self.islands.take(rows))


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How profiles are learned; see `annotate`."""

    rounds: int
    seed_share: float
    min_seeds: int
    marker_weight: float
    prior_values: float
    seed_score: float
    alone_lead: float
    min_lead: float


def annotate(
    slices: Sequence[Slice],
    features: pd.DataFrame,
    cells: pd.DataFrame,
    markers: pd.DataFrame,
    context: pd.DataFrame,
    *,
    types: CellTypes,
    rounds: int,
    seed_share: float,
    min_seeds: int,
    marker_weight: float,
    smoothing: float,
    prior_values: float,
    clear_score: float,
    seed_score: float,
    yield_score: float,
    alone_lead: float,
    own_lead: float,
    min_lead: float,
    temperature: float,
    island_chance: float,
) -> pd.DataFrame:
    """Vote of the learned profiles, markers included, for every broad and clear type.

    Args:
        slices: one per sample, each read twice per round.
        features: `features.tsv`: `ensembl_id, symbol`.
        cells: `cells.parquet` of all samples: which dataset each cell is of.
        markers: evidence of the method `markers`, all samples, in the order of the slices.
        context: evidence of the method `context`: nearest cells in the sample.
        types: the resource.
        rounds: times that profiles are learned anew.
        seed_share: share of each type's cells, clearest first, that the profile is learned from.
        min_seeds: cells of a type below which it has no profile.
        marker_weight: weight of the marker score beside the profile's log likelihood.
        smoothing: share of the marker score that comes from the neighbours.
        prior_values: detections of each gene at its mean over all cells, which every profile is drawn to.
        clear_score: marker score below which a rare type is no candidate for a cell.
        seed_score: marker score that a seed needs.
        yield_score: marker score of a type that shares another's markers, over the neighbours, from which on a cell is
            none of the other.
        alone_lead: lead in marker score that a type without a profile needs over those with one.
        own_lead: lead in a cell's own marker scores from which on it is decided inside the lineage that leads, in
            datasets whose typical lead is below `min_lead`.
        min_lead: lead in log likelihood that counts like a unit of marker score, or more where a dataset's is larger.
        temperature: of the probabilities, as a share of the dataset's typical lead.
        island_chance: probability of as many neighbours that a type's markers single out, below which such cells lie
            together and stand for a class that has no other seeds.

    Returns:
        Index cell id; `vote_{type}` float32 summing to one.
    """
    names = scored(markers, types.decided("broad", "clear"))
    kinds = Kinds(names, told_apart(names, types), np.array([types.lineage(name) for name in names], dtype=object))
    alone, near = shown(markers, names, types), positions(context)
    scores = blended(alone, near, share=smoothing)
    marker = _candidates(alone, scores, names, types, clear_score=clear_score, yield_score=yield_score)
    alone = np.where(np.isneginf(marker) | np.isnan(alone), -np.inf, alone)
    called = kinds.classes[marker.argmax(axis=1)]
    datasets, samples = (cells[column].reindex(markers.index).to_numpy(object) for column in (Obs.DATASET, Obs.SAMPLE))
    together = islands(alone, called, samples, near, score=seed_score, chance=island_chance)
    start = Start(marker, inside_lineage(alone, kinds.lineages, lead=own_lead), together)
    how = Learning(
        rounds=rounds,
        seed_share=seed_share,
        min_seeds=min_seeds,
        marker_weight=marker_weight,
        prior_values=prior_values,
        seed_score=seed_score,
        alone_lead=alone_lead,
        min_lead=min_lead,
    )
    symbols = dict(zip(features[Var.ENSEMBL], features[Var.SYMBOL], strict=True))
    votes = np.zeros(marker.shape, np.float32)
    # A profile holds for one platform and way of dissociation: each dataset learns its own from all of its samples.
    for dataset, (parts, rows) in grouped(slices, datasets).items():
        total, allowed = trained(parts, start.take(rows), kinds, symbols, how, label=dataset)
        # The typical cell sets the scale: leads of hard and of easy data differ in absolute units.
        scale = max(float(np.median(_lead(total))), 1e-6) if len(total) else 1.0
        votes[rows] = softmax(np.where(allowed, total, -np.inf) / (temperature * scale), axis=1)
    table = pd.DataFrame(votes, index=markers.index, columns=[VOTE + n for n in names])
    table.insert(0, NOTE, "")
    return table


def _candidates(
    alone: np.ndarray, scores: np.ndarray, names: list[str], types: CellTypes, *, clear_score: float, yield_score: float
) -> np.ndarray:
    """Marker scores over the neighbours, -inf where a cell is no candidate for the type."""
    rare = np.array([types[name].decide == "clear" for name in names])
    # Few cells of a rare type have others of it nearby: what one shows itself makes it a candidate too.
    clear = (scores >= clear_score) | clearly(alone, score=clear_score)
    yields = yielding(scores, names, types, score=yield_score)
    return np.where((rare[None, :] & ~clear) | yields | np.isnan(scores), -np.inf, scores)


def grouped(slices: Sequence[Slice], datasets: np.ndarray) -> dict[str, tuple[Sequence[Slice], np.ndarray]]:
    """Slices of each dataset and the rows of their cells in the joint table, in order of first appearance."""
    by_dataset: dict[str, tuple[list[int], list[np.ndarray]]] = {}
    start = 0
    for position, part in enumerate(slices):
        rows = np.arange(start, start + len(part.cells))
        start += len(part.cells)
        if len(rows):
            places, cells = by_dataset.setdefault(str(datasets[rows[0]]), ([], []))
            places.append(position)
            cells.append(rows)
    return {name: (some(slices, places), np.concatenate(cells)) for name, (places, cells) in by_dataset.items()}


def trained(
    slices: Sequence[Slice], start: Start, kinds: Kinds, symbols: dict[str, str], how: Learning, *, label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Score of every type in every cell of one dataset at the end, and whether it is allowed; cells × types."""
    ahead = start.marker - start.marker.max(axis=1, keepdims=True)
    eligible = start.marker >= how.seed_score
    # A type with a handful of stray cells is noise that learning would feed: seeds must show their markers.
    seeds, outside = clearest(ahead, share=how.seed_share, eligible=eligible), np.zeros(ahead.shape, bool)
    for kind in too_rare(seeds, start.islands, kinds.classes, minimum=how.min_seeds):
        within = start.islands.within[:, kind]
        log.info("%s: %s learned from %d cells side by side", label, kinds.names[kind], within.sum())
        seeds[within], outside[:, kind] = kind, ~start.islands.near[:, kind]
    total, allowed = how.marker_weight * ahead, start.inside
    for turn in range(how.rounds):
        profiles, usable = learn(slices, seeds, len(kinds.names), symbols, prior_values=how.prior_values)
        profiles = pooled(profiles, kinds.lineages, minimum=how.min_seeds)
        learned = profiles.n_seeds > 0
        counted = {name: int(n) for name, n in zip(kinds.names, profiles.n_seeds, strict=True) if n}
        if not learned.any():
            log.info("%s, round %d: seeds %s, too few to learn from", label, turn + 1, counted)
            break
        total = compare(slices, profiles, usable)
        # Profiles of few seeds, or of one class and its strays, hardly differ: their noise must not be blown up.
        lead = float(np.median(_lead(total[:, learned])))
        allowed = start.inside | (lead >= how.min_lead)
        log.info("%s, round %d: seeds %s; typical lead %.3g of %.3g", label, turn + 1, counted, lead, how.min_lead)
        total = total * (1 / max(lead, how.min_lead)) + how.marker_weight * ahead
        # A type too rare to learn is judged by its markers alone, and must lead the learned ones by more.
        best, rival = (values[:, learned].max(axis=1, keepdims=True) for values in (total, start.marker))
        total[:, ~learned] = best + ALONE * (start.marker[:, ~learned] - np.maximum(rival, 0) - how.alone_lead)
        total[outside] = -np.inf
        seeds = clearest(total, share=how.seed_share, eligible=eligible & learned & allowed)
    return total, allowed


def inside_lineage(alone: np.ndarray, lineages: np.ndarray, *, lead: float) -> np.ndarray:
    """Types that each cell may be of: those of the lineage that leads all others in its own markers, or all types.

    Where one class fills a sample, the profiles are those of the class and of its noise, and the neighbours are its
    cells: neither may overrule what a lone cell of another lineage shows itself.

    Args:
        alone: cells × types, marker scores of the cell alone.
        lineages: of each type.
        lead: in score over the best type of any other lineage.
    """
    best = lineages[alone.argmax(axis=1)][:, None] == lineages[None, :]
    first = alone.max(axis=1)
    second = np.where(best, -np.inf, alone).max(axis=1)
    clear = np.isfinite(first) & (np.where(np.isfinite(first), first, 0.0) - second >= lead)
    return best | ~clear[:, None]


def too_rare(seeds: np.ndarray, together: Islands, classes: np.ndarray, *, minimum: int) -> list[int]:
    """Types whose class has fewer seeds than `minimum`, but as many cells that lie together."""
    of_class = {name: np.isin(seeds, np.flatnonzero(classes == name)).sum() for name in dict.fromkeys(classes)}
    rare = np.array([of_class[name] < minimum for name in classes])
    return np.flatnonzero(rare & (together.within.sum(axis=0) >= minimum)).tolist()


def clearest(total: np.ndarray, *, share: float, eligible: np.ndarray) -> np.ndarray:
    """Type of each cell that is among the clearest of its type, -1 for all others.

    Args:
        total: cells × types.
        share: share of a type's cells, clearest first.
        eligible: cells × types, whether a cell may stand for the type.
    """
    lead, best = _lead(total), total.argmax(axis=1)
    may_stand = eligible[np.arange(len(best)), best]
    seeds = np.full(len(total), -1)
    for kind in range(total.shape[1]):
        cells = np.flatnonzero((best == kind) & may_stand)
        if len(cells):
            seeds[cells[lead[cells] >= np.quantile(lead[cells], 1 - share)]] = kind
    return seeds


def _lead(total: np.ndarray) -> np.ndarray:
    """By how much the best type leads the next."""
    if total.shape[1] < 2:
        return np.ones(len(total))
    top = np.partition(total, -2, axis=1)[:, -2:]
    return np.nan_to_num(top[:, 1] - top[:, 0], posinf=1e3)


def learn(
    slices: Sequence[Slice],
    seeds: np.ndarray,
    n_types: int,
    symbols: dict[str, str],
    *,
    prior_values: float,
) -> tuple[Profiles, np.ndarray]:
    """Mean profile of the seeds of each type, in each sample; also which genes are used.

    Platforms, ambient RNA and tumours differ between samples. What a sample's cells of all types show over the cohort's
    profiles of the same types is the sample's own factor by gene: it does not depend on the sample's composition.
    """
    sums, cells, everything, present, shown_in = [], [], [], [], []
    usable, start = np.zeros(0, bool), 0
    for part in slices:
        types = seeds[start : start + len(part.cells)]
        start += len(part.cells)
        usable = np.array([not LEFT_OUT.match(symbols.get(gene, "")) for gene in part.genes])
        member = sp.csr_matrix(types[None, :] == np.arange(n_types)[:, None], dtype=part.X.dtype)
        sums.append((member @ part.X).toarray())
        cells.append(np.bincount(types[types >= 0], minlength=n_types))
        everything.append(np.asarray(part.X.sum(axis=0)).ravel())
        present.append(len(part.cells) * part.measured)
        shown_in.append(np.bincount(part.X.indices, minlength=part.X.shape[1]))
    total, n, measured = np.array(sums), np.array(cells, float), np.array(present) > 0
    number = n[:, :, None] * measured[:, None, :]
    overall = np.sum(everything, axis=0) / np.maximum(np.sum(present, axis=0), 1) + 1e-6
    # A gene's ratio is known from the cells that show it: the prior is worth so many detections of each gene.
    n_shown = np.sum(shown_in, axis=0)
    height = np.divide(np.sum(everything, axis=0), n_shown, out=np.ones(len(n_shown)), where=n_shown > 0)
    few = prior_values * height
    pooled_mean = (total.sum(axis=0) + few) / (number.sum(axis=0) + few / overall)
    factor = (total.sum(axis=1) + few) / ((number * pooled_mean).sum(axis=1) + few)
    return Profiles(factor[:, None, :] * pooled_mean, np.bincount(seeds[seeds >= 0], minlength=n_types)), usable


def pooled(profiles: Profiles, lineages: np.ndarray, *, minimum: int) -> Profiles:
    """Types with fewer seeds than `minimum` share the profile of their lineage's rare types, if these are enough
    together.

    They are no profile in the lineage of a type that fills the dataset: there they are its own strays, and learning
    would feed them.
    """
    mean, n_seeds = profiles.mean.copy(), profiles.n_seeds.copy()
    rare, fills = (n_seeds > 0) & (n_seeds < minimum), n_seeds > 0.5 * n_seeds.sum()
    for name in dict.fromkeys(lineages[rare]):
        group = np.flatnonzero(rare & (lineages == name))
        total = int(profiles.n_seeds[group].sum())
        n_seeds[group] = total if total >= minimum and not fills[lineages == name].any() else 0
        shared = np.average(profiles.mean[:, group], axis=1, weights=profiles.n_seeds[group])
        mean[:, group] = shared[:, None, :]
    return Profiles(mean, n_seeds)


def compare(slices: Sequence[Slice], profiles: Profiles, usable: np.ndarray) -> np.ndarray:
    """Log likelihood of every cell under every profile, per square root of what the cell shows; highest is 0."""
    learned, rows = profiles.n_seeds > 0, []
    for sample, part in enumerate(slices):
        genes = usable & part.measured
        share = profiles.mean[sample][np.ix_(learned, genes)]
        weights = np.zeros((len(genes), learned.sum() + 1))
        weights[genes, :-1] = np.log(share / np.maximum(share.sum(axis=1, keepdims=True), 1e-9)).T
        weights[genes, -1] = 1.0
        rows.append(part.X @ weights)
    sums = np.concatenate(rows)
    result = np.full((len(sums), len(learned)), -np.inf if learned.any() else 0.0)
    if learned.any():
        result[:, learned] = sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1.0))
        result -= result.max(axis=1, keepdims=True)
    return result
