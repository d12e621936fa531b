"""What the tests find where there is nothing to find, measured on the data at hand at every run.

Two nulls, `runs` times each. `labels`: conditions are permuted among the donors of a study and the tests of the
confirmatory family are repeated. Some permutations come close to the truth, so with few donors this null keeps a
little signal. `random_sets`: every signature is replaced by random genes of the same expression and number that no
signature lists, and tested with the true labels.

Random genes are no null of biology: where ambient RNA or the mix of cell types differs between the groups, most genes
differ a little, and sets of them pass. That is why findings and verdicts must hold on profiles less ambient RNA too,
and why the random sets are tested on both; `reading` says what an excess means.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.special import bdtr

from brainmet.compare import Part, parts_of, pooled_p
from brainmet.compare.contrast import Contrast
from brainmet.compare.contrasts import Scorer
from brainmet.compare.donor_scores import (
    GeneSet,
    Scoring,
    deep_enough,
    expression_bins,
    first_of_symbol,
    log_cpm,
    thinned_log_cpm,
)
from brainmet.compare.donors import Profiles, declared
from brainmet.compare.estimators import Design, DonorValues
from brainmet.contract import Null
from brainmet.core.tables import columns, empty
from brainmet.stats import effects

log = logging.getLogger(__name__)

AS_CHANCE = "as chance allows"
_LABELS_EXCEEDED = "the tests find too much: p values of this run cannot be trusted"
_AMBIENT = "ambient RNA differs between the conditions and shifts many genes: believe what holds without it (p_clean)"
_BROAD = "many genes differ between the conditions, whatever their function: a set's effect need not be its pathway's"


class RandomSet(NamedTuple):
    """Random versions of a signature: genes, runs × members as positions, and the sign of each member."""

    members: np.ndarray
    signs: np.ndarray


def nulls(
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    contrasts: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
    runs: int,
    clean: Mapping[str, Profiles] | None = None,
) -> pd.DataFrame:
    """Rows of `nulls.tsv`: per null, how many tests, the share with p below .05, and the share of runs with a
    discovery; of compartments in which donors can be compared.

    Args:
        profiles_of: donor profiles by compartment.
        runs: of each null.
        clean: the profiles less ambient RNA.
    """
    families = _families(profiles_of, sets, contrasts, design=design, scoring=scoring)
    tested = [({"kind": Null.LABELS} | _identity(Null.LABELS), _permuted(families, runs=runs, design=design))]
    for cell_type in families:
        at_home = [s for s in sets if declared(s.compartment) == cell_type]
        # The same random genes are tested on both.
        drawn = random_like(at_home, profiles_of[cell_type], sets, runs=runs, scoring=scoring)
        for state, profiles in ((Null.MEASURED, profiles_of), (Null.LESS_AMBIENT, clean)):
            if profiles:
                p = _random(profiles[cell_type], drawn, contrasts, design=design, scoring=scoring)
                tested.append((_of_random_sets(cell_type, state), p))
    rows = [null | _summary(p, design=design) for null, p in tested if p]
    if not rows:
        return empty("nulls")
    table = pd.DataFrame(rows)
    table["reading"] = _readings(table)
    for row in table[table["exceeded"]].itertuples():
        log.warning("null %s: %d of %d runs have a discovery: %s", row.kind, row.found, row.n_runs, row.reading)
    return table.rename(columns={"found": "runs_with_discovery"})[columns("nulls")]


def _parts(values: DonorValues, profiles: Profiles, contrast: Contrast, *, design: Design) -> list[Part]:
    """Studies of the confirmatory test of a contrast."""
    of_site, _ = contrast.eligible(profiles.donors, site=design.primary_site)
    return parts_of(values, of_site, contrast, design=design)


def _families(
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    contrasts: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
) -> dict[str, list[tuple[list[Part], np.ndarray]]]:
    """By compartment the confirmatory family: studies of each contrast, and which signatures are at home there."""
    families = {}
    for cell_type in sorted({declared(s.compartment) for s in sets} & set(profiles_of)):
        profiles = profiles_of[cell_type]
        scorer = Scorer(profiles, sets, scoring=scoring)
        home = np.array([declared(s.compartment) == cell_type for s in sets])
        compared = [_parts(scorer.values, profiles, contrast, design=design) for contrast in contrasts]
        if any(compared):
            families[cell_type] = [(parts, home) for parts in compared if parts]
    return families


def _permuted(
    families: Mapping[str, Sequence[tuple[list[Part], np.ndarray]]], *, runs: int, design: Design
) -> list[np.ndarray]:
    """p of the whole confirmatory family, one array per run; none where nothing can be compared."""
    rng = np.random.default_rng([design.seed, crc32(Null.LABELS.encode())])
    blocks = []
    for parts, home in chain.from_iterable(families.values()):
        shuffled = [shuffle(part, rng, runs=runs) for part in parts]
        blocks.append(pooled_p(shuffled, min_studies=design.min_studies).reshape(runs, -1)[:, home])
    return list(np.concatenate(blocks, axis=1)) if blocks else []


def shuffle(part: Part, rng: np.random.Generator, *, runs: int) -> Part:
    """The part with its labels permuted `runs` times, its features repeated as often; in a paired part each donor's
    two values trade places or not."""
    a, b = [], []
    both = np.vstack([part.a, part.b])
    for _ in range(runs):
        if part.paired:
            swap = rng.random(len(part.a))[:, None] < 0.5
            a.append(np.where(swap, part.b, part.a))
            b.append(np.where(swap, part.a, part.b))
        else:
            mixed = both[rng.permutation(len(both))]
            a.append(mixed[: len(part.a)])
            b.append(mixed[len(part.a) :])
    return Part(part.study, part.platform, np.hstack(a), np.hstack(b), part.paired)


def random_like(
    sets: Sequence[GeneSet], profiles: Profiles, listed: Sequence[GeneSet], *, runs: int, scoring: Scoring
) -> list[RandomSet]:
    """Random versions of each set: every gene is replaced by one of its expression bin that none of `listed` lists."""
    use = np.flatnonzero(profiles.measured())
    symbols = profiles.symbols.to_numpy()[use]
    bins = expression_bins(log_cpm(profiles.counts[:, use]).mean(axis=0), n_bins=scoring.n_bins)
    taken = {gene for s in listed for gene in (*s.up, *s.down)}
    free = np.array([symbol not in taken for symbol in symbols], bool)
    pools = [np.flatnonzero((bins == b) & free) for b in range(scoring.n_bins)]
    where = first_of_symbol(symbols)
    drawn = []
    for s in sets:
        rng = np.random.default_rng([scoring.seed, crc32(s.id.encode())])
        signed = [(g, 1.0) for g in dict.fromkeys(s.up)] + [(g, -1.0) for g in dict.fromkeys(s.down)]
        wanted = [(pools[bins[where[g]]], sign) for g, sign in signed if g in where and len(pools[bins[where[g]]])]
        members = use[[rng.choice(pool, size=runs) for pool, _ in wanted]].T if wanted else np.empty((runs, 0), int)
        drawn.append(RandomSet(members, np.array([sign for _, sign in wanted])))
    return drawn


def _random(
    profiles: Profiles,
    drawn: Sequence[RandomSet],
    contrasts: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
) -> list[np.ndarray]:
    """p of the random sets in all contrasts, one array per run."""
    values = RandomScores(profiles, drawn, scoring=scoring).values
    blocks = []
    for contrast in contrasts:
        if parts := _parts(values, profiles, contrast, design=design):
            blocks.append(pooled_p(parts, min_studies=design.min_studies).reshape(len(drawn), -1).T)
    return list(np.concatenate(blocks, axis=1)) if blocks else []


class RandomScores:
    """Scores of random sets as `Scorer` gives those of signatures; their genes are set against all genes of the bin,
    not against draws from it, which is the limit of many draws."""

    def __init__(self, profiles: Profiles, drawn: Sequence[RandomSet], *, scoring: Scoring) -> None:
        self.profiles, self.drawn, self.scoring = profiles, drawn, scoring

    @property
    def values(self) -> DonorValues:
        """The scores as what donors are compared by: the runs of the first set, then those of the second, and so on."""
        return DonorValues(pd.RangeIndex(sum(len(random.members) for random in self.drawn)), self.scores)

    def scores(self, donors: pd.Index) -> pd.DataFrame:
        """Donors × random sets, of the donors that are deep enough."""
        here = self.profiles.take(self.profiles.donors.index.isin(self.profiles.scored_with(donors)))
        here = here.take(deep_enough(here, min_counts=self.scoring.min_counts))
        values = np.full(here.counts.shape, np.nan)
        use = np.flatnonzero(here.measured())
        if len(here.donors):
            values[:, use] = _centred(thinned_log_cpm(here.counts[:, use]), n_bins=self.scoring.n_bins)
        scores = [
            (values[:, rows] * sign).mean(axis=2)
            if len(sign) >= self.scoring.min_genes
            else np.full((len(values), len(rows)), np.nan)
            for rows, sign in self.drawn
        ]
        table = pd.DataFrame(np.hstack(scores), here.donors.index)
        return table.loc[donors.intersection(table.index, sort=False)]


def _centred(values: np.ndarray, *, n_bins: int) -> np.ndarray:
    """Values less the mean of each donor over the genes of the bin."""
    bins = expression_bins(values.mean(axis=0), n_bins=n_bins)
    centred = values.copy()
    for b in np.unique(bins):
        members = bins == b
        centred[:, members] -= values[:, members].mean(axis=1, keepdims=True)
    return centred


def _identity(null: str, compartment: str = "", profiles: str = Null.MEASURED) -> dict[str, object]:
    return {"null": null, "compartment": compartment, "profiles": profiles}


def _of_random_sets(compartment: str, profiles: str) -> dict[str, object]:
    """What a row of random sets is of; `kind` says the same in words."""
    cleaned = ", less ambient RNA" if profiles == Null.LESS_AMBIENT else ""
    kind = f"{Null.RANDOM_SETS} in {compartment}{cleaned}"
    return {"kind": kind} | _identity(Null.RANDOM_SETS, compartment, profiles)


def _summary(runs: Sequence[np.ndarray], *, design: Design) -> dict[str, object]:
    """What the p values of all runs of a null say."""
    p = np.concatenate(runs)
    p = p[np.isfinite(p)]
    found = sum(bool((effects.fdr(run)[np.isfinite(run)] < design.alpha).any()) for run in runs)
    bound = binomial_bound(len(runs), design.alpha)
    return {
        "n_runs": len(runs),
        "n_tests": len(p),
        "share_p05": float((p < 0.05).mean()) if len(p) else np.nan,
        "found": found,
        "most_expected": bound,
        "exceeded": found > bound,
        "quantile_25": _quantile(p, 0.25),
        "quantile_50": _quantile(p, 0.5),
        "quantile_75": _quantile(p, 0.75),
    }


def _readings(table: pd.DataFrame) -> list[str]:
    """What each row means for findings: an excess that is gone on profiles less ambient RNA is due to that."""
    gone = table[(table["profiles"] == Null.LESS_AMBIENT) & ~table["exceeded"]]
    return [_reading(row, set(gone["compartment"])) for row in table.to_dict("records")]


def _reading(row: Mapping[str, object], gone: set[str]) -> str:
    if not row["exceeded"]:
        return AS_CHANCE
    if row["null"] == Null.LABELS:
        return _LABELS_EXCEEDED
    return _AMBIENT if row["profiles"] == Null.MEASURED and row["compartment"] in gone else _BROAD


def _quantile(p: np.ndarray, q: float) -> float:
    return float(np.quantile(p, q)) if len(p) else float("nan")


def binomial_bound(n: int, alpha: float) -> int:
    """Most runs with a discovery that chance explains: the 97.5 % point of a binomial."""
    return int(np.searchsorted(bdtr(np.arange(n + 1), n, alpha), 0.975))
