"""One score per signature and donor, from pseudobulk: the number that every test of a signature is made of.

Donors of a study are thinned to a common depth and turned into log2 counts per million; of all thinnings that could be
drawn the mean is taken, which is exact, needs no seed and wastes no count. The score is the mean over the signature's
genes, up genes counted once and down genes once negative, minus that of random genes of the same expression. Every
gene weighs the same, so that a single down gene cannot outweigh twenty up genes. Thinning rather than regression:
depth and malignant biology go together, and regressing one out takes the other with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import gammaln

from brainmet.compare.donors import PLATFORM, Profiles
from brainmet.contract import Compartment, Obs
from brainmet.core.tables import columns, empty
from brainmet.knowledge.signatures import Signature


@dataclass(frozen=True)
class GeneSet:
    """Genes by symbol; `gene` sets hold a single gene, read as it is: no coverage rule and no random genes taken
    off."""

    id: str
    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    compartment: str = Compartment.ANY
    single: bool = False


def gene_sets(signatures: Sequence[Signature]) -> list[GeneSet]:
    """Signatures as gene sets."""
    return [GeneSet(s.id, s.up, s.down, str(s.entry.get("compartment", Compartment.ANY))) for s in signatures]


@dataclass(frozen=True)
class Scoring:
    """How donors are scored; see `config: compare`."""

    seed: int
    min_counts: int
    n_bins: int
    n_controls: int
    min_genes: int
    min_coverage: float


def scores(profiles: Profiles, sets: Sequence[GeneSet], *, scoring: Scoring) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of donors that are to be compared with each other: one platform, genes measured in all of them.

    Args:
        profiles: donors of one platform; donors below `min_counts` are left out, the rest thinned to the shallowest.
        sets: signatures.

    Returns:
        donors × signatures (log2 units; NaN = not scorable), and per signature `n_listed, n_measured, n_detected,
        coverage, reason`. `n_detected` counts members seen in at least one of the donors: absence of a signal is a
        result, reported apart.
    """
    kept = profiles.take(deep_enough(profiles, min_counts=scoring.min_counts))
    use = kept.measured()
    covered = _coverage(kept, use, sets, scoring=scoring)
    if not len(kept.donors):
        return pd.DataFrame(np.empty((0, len(sets))), kept.donors.index, [s.id for s in sets]), covered
    values = thinned_log_cpm(kept.counts[:, use])
    position = first_of_symbol(kept.symbols.to_numpy()[use])
    weights = weights_of(sets, position, values.mean(axis=0), scoring=scoring)
    # Few genes count in each signature; a dense product would wake the threads of BLAS for nothing.
    table = pd.DataFrame(values @ sp.csc_matrix(weights), kept.donors.index, [s.id for s in sets])
    table.loc[:, (covered["reason"] != "").to_numpy()] = np.nan
    return table, covered


def coverage(profiles: Profiles, sets: Sequence[GeneSet], *, scoring: Scoring) -> pd.DataFrame:
    """The second table of `scores`, for donors whose scores are not wanted."""
    kept = profiles.take(deep_enough(profiles, min_counts=scoring.min_counts))
    return _coverage(kept, kept.measured(), sets, scoring=scoring)


def _coverage(kept: Profiles, use: np.ndarray, sets: Sequence[GeneSet], *, scoring: Scoring) -> pd.DataFrame:
    """Coverage of signatures by the genes `use` (mask) of donors that are deep enough."""
    seen = kept.counts[:, use].sum(axis=0) > 0 if len(kept.donors) else np.zeros(use.sum(), bool)
    position = first_of_symbol(kept.symbols.to_numpy()[use])
    return coverage_of(sets, position, seen, min_genes=scoring.min_genes, min_coverage=scoring.min_coverage)


def first_of_symbol(symbols: Sequence[str]) -> dict[str, int]:
    """Position of the first gene of each symbol."""
    return {symbol: i for i, symbol in reversed(list(enumerate(symbols)))}


def deep_enough(profiles: Profiles, *, min_counts: int) -> np.ndarray:
    """Mask of donors with at least `min_counts` in the genes measured in all donors."""
    return profiles.counts[:, profiles.measured()].sum(axis=1) >= min_counts


def thin(counts: np.ndarray, *, seed: int) -> np.ndarray:
    """Counts drawn down to the depth of the shallowest donor, each donor by its own seed.

    A donor's draw depends on its counts, not on its row or name. Counts that are not integers (expected counts) are
    rounded first.
    """
    counts = np.rint(counts).astype(np.int64)
    totals = counts.sum(axis=1)
    depth = totals.min(initial=np.iinfo(np.int64).max)
    thinned = [
        row if total <= depth else np.random.default_rng([seed, crc32(row.tobytes())]).binomial(row, depth / total)
        for row, total in zip(counts, totals, strict=True)
    ]
    return np.array(thinned, float).reshape(counts.shape)


def thinned_log_cpm(counts: np.ndarray) -> np.ndarray:
    """log2 counts per million at the depth of the shallowest donor: the mean over all binomial thinnings to it.

    A Poisson count thinned to a depth is one drawn at that depth, so the mean of the result does not depend on how
    deep a donor was sequenced; its variance does, as deep donors are known better.
    """
    if not len(counts):
        return counts.astype(float)
    totals = counts.sum(axis=1, dtype=float)
    depth = totals.min()
    logs = np.array([_thinned_log2(row, depth / total) for row, total in zip(counts, totals, strict=True)])
    return logs + np.log2(1e6 / (depth + 1))


EXACT_BELOW = 60.0
"""Expected counts above which the mean of a logarithm is expanded to its fourth moment (error below 1e-6)."""


def _thinned_log2(counts: np.ndarray, share: float) -> np.ndarray:
    """Mean of log2(B + 1/2) over B ~ binomial(count, share), for every count (expected counts are rounded)."""
    if share >= 1:
        return np.log2(counts + 0.5)
    values, where = np.unique(np.rint(counts), return_inverse=True)
    variance, centre = values * share * (1 - share), values * share + 0.5
    kurtosis = 3 * variance**2 + variance * (1 - 6 * share * (1 - share))
    series = variance / (2 * centre**2) - variance * (1 - 2 * share) / (3 * centre**3) + kurtosis / (4 * centre**4)
    means = np.log2(centre) - series / np.log(2)
    few = values * share < EXACT_BELOW
    drawn = np.arange(min(values[few].max(initial=0), EXACT_BELOW + 12 * EXACT_BELOW**0.5) + 1)
    means[few] = _binomial(drawn, values[few, None], share) @ np.log2(drawn + 0.5)
    return means[where]


def _binomial(x: np.ndarray, n: np.ndarray, share: float) -> np.ndarray:
    """Probability of `x` out of `n`, as `scipy.stats.binom.pmf`, without half a second of import in every job."""
    ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)  # minus infinity above n
    return np.exp(ways + x * np.log(share) + (n - x) * np.log1p(-share))


def log_cpm(counts: np.ndarray) -> np.ndarray:
    """log2 counts per million with half a count added, as limma's voom has it (Law 2014 Genome Biol 15:R29)."""
    total = counts.sum(axis=1, keepdims=True)
    return np.log2((counts + 0.5) / (total + 1) * 1e6)


def coverage_of(
    sets: Sequence[GeneSet], position: Mapping[str, int], seen: np.ndarray, *, min_genes: int, min_coverage: float
) -> pd.DataFrame:
    """Per signature: genes listed, in the platform's gene list, detected; `reason` is empty where it can be scored."""
    rows = []
    for gene_set in sets:
        listed = set(gene_set.up) | set(gene_set.down)
        measured = [position[gene] for gene in sorted(listed) if gene in position]
        share = len(measured) / len(listed) if listed else 0.0
        reason = ""
        if gene_set.single:
            reason = "" if measured else f"{gene_set.up[0]} is not in the gene list"
        elif len(measured) < min_genes or share < min_coverage:
            reason = f"{len(measured)} of {len(listed)} genes measured"
        rows.append(
            (gene_set.id, len(listed), len(measured), int(seen[measured].sum()) if measured else 0, share, reason)
        )
    names = ["signature", "n_listed", "n_measured", "n_detected", "coverage", "reason"]
    return pd.DataFrame(rows, columns=names).set_index("signature")


def weights_of(
    sets: Sequence[GeneSet], position: Mapping[str, int], level: np.ndarray, *, scoring: Scoring
) -> np.ndarray:
    """Weights W (genes × signatures) such that log2 CPM @ W is the score.

    Each member, up or down, weighs the same and is set against `n_controls` random genes of its expression bin that
    are not members. A signature's random genes depend on its name and the seed, not on which other signatures are
    scored.
    """
    bins = expression_bins(level, n_bins=scoring.n_bins)
    genes_of_bin = [np.flatnonzero(bins == b) for b in range(scoring.n_bins)]
    weights = np.zeros((len(level), len(sets)))
    for column, gene_set in enumerate(sets):
        sides = [
            np.array(sorted({position[g] for g in side if g in position}), np.int64)
            for side in (gene_set.up, gene_set.down)
        ]
        members = np.concatenate(sides)
        for rows, sign in zip(sides, (1.0, -1.0), strict=True):
            share = len(rows) / max(len(members), 1)
            weights[rows, column] += sign / max(len(members), 1)
            if not gene_set.single:
                drawn = _controls(gene_set, rows, members, bins, genes_of_bin, scoring=scoring)
                np.add.at(weights[:, column], drawn, -sign * share / max(len(drawn), 1))
    return weights


def _controls(
    gene_set: GeneSet,
    rows: np.ndarray,
    members: np.ndarray,
    bins: np.ndarray,
    genes_of_bin: Sequence[np.ndarray],
    *,
    scoring: Scoring,
) -> np.ndarray:
    """Random genes for one side of a signature: `n_controls` per gene, of its bin, none of them a member."""
    rng = np.random.default_rng([scoring.seed, crc32(gene_set.id.encode())])
    is_member = np.zeros(len(bins), bool)
    is_member[members] = True
    numbers = np.bincount(bins[rows], minlength=scoring.n_bins)
    drawn = []
    for b in np.flatnonzero(numbers).tolist():
        pool = genes_of_bin[b][~is_member[genes_of_bin[b]]]
        if len(pool):
            drawn.append(rng.choice(pool, size=int(numbers[b]) * scoring.n_controls))
    return np.concatenate(drawn) if drawn else np.empty(0, np.int64)


def expression_bins(level: np.ndarray, *, n_bins: int) -> np.ndarray:
    """Bin of each gene by its mean expression; bins hold equally many genes."""
    order = np.argsort(level, kind="stable")
    bins = np.empty(len(level), np.int64)
    bins[order] = np.arange(len(level)) * n_bins // max(len(level), 1)
    return bins


def table(profiles_of: Mapping[str, Profiles], sets: Sequence[GeneSet], *, scoring: Scoring) -> pd.DataFrame:
    """Scores of every donor in every compartment, donors of one study and platform scored together: the rows of
    `donor_scores.tsv`."""
    parts = []
    for cell_type, profiles in profiles_of.items():
        for _, donors in profiles.donors.groupby([Obs.STUDY, PLATFORM], sort=True):
            values, covered = scores(profiles.of(donors.index), sets, scoring=scoring)
            names = pd.MultiIndex.from_product([values.index, values.columns], names=["profile", "signature"])
            long = pd.DataFrame({"score": values.to_numpy().ravel()}, names).reset_index()
            long = long.merge(donors, left_on="profile", right_index=True).merge(
                covered.reset_index(), on="signature", validate="many_to_one"
            )
            parts.append(long.assign(cell_type=cell_type))
    return pd.concat(parts, ignore_index=True)[columns("donor_scores")] if parts else empty("donor_scores")
