"""What the tests find where there is nothing to find, measured on the data at hand at every run.

Two nulls. `labels`: conditions are permuted among the donors of a study; the tests of the confirmatory family are
repeated. Some permutations come close to the truth, so with few donors this null keeps a little signal.
`random_sets`: signatures are replaced by random genes of the same expression and size and tested with the true labels.
"""

import logging
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import pandas as pd

from brainmet import effects
from brainmet.compare import Design, Part, eligible, parts_of, pooled_p
from brainmet.contrasts import Scorer
from brainmet.donor_scores import GeneSet, Scoring, expression_bins, log_cpm
from brainmet.donors import Profiles, declared
from brainmet.tables import columns, empty

log = logging.getLogger(__name__)


def nulls(
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    arms: Sequence[Mapping[str, str]],
    *,
    design: Design,
    how: Scoring,
    runs: int,
    random_sets: int,
) -> pd.DataFrame:
    """Rows of `nulls.tsv`: per null, how many tests, the share with p below alpha, and the share of runs with a
    discovery.

    Args:
        runs: permutations of the labels.
        random_sets: sets a signature of the tumour compartment is replaced by, in one run each.
    """
    tests = [
        (scorer, own, arm, np.array([declared(s.compartment) == cell_type for s in sets]))
        for cell_type, profiles in profiles_of.items()
        if any(declared(s.compartment) == cell_type for s in sets)
        for scorer in [Scorer(profiles, sets, how=how)]
        for arm in arms
        for own in [eligible(profiles.donors, arm, site=design.primary_site)[0]]
    ]
    families = [
        (parts, home) for scorer, own, arm, home in tests if (parts := parts_of(scorer, own, arm, design=design))
    ]
    rows = [_summary("labels", _permuted(families, runs=runs, seed=design.seed), design=design)] if families else []
    rows += _random_sets(profiles_of, sets, arms, design=design, how=how, number=random_sets)
    return pd.DataFrame(rows)[columns("nulls")] if rows else empty("nulls")


def _permuted(families: Sequence[tuple[list[Part], np.ndarray]], *, runs: int, seed: int) -> list[np.ndarray]:
    """p of the whole confirmatory family, one array a run."""
    rng = np.random.default_rng([seed, crc32(b"labels")])
    return [
        np.concatenate([pooled_p([shuffle(part, rng) for part in parts])[home] for parts, home in families])
        for _ in range(runs)
    ]


def shuffle(part: Part, rng: np.random.Generator) -> Part:
    """The part with its labels permuted; in a paired part each donor's two values trade places or not."""
    if part.paired:
        swap = rng.random(len(part.a))[:, None] < 0.5
        return Part(part.study, part.platform, np.where(swap, part.b, part.a), np.where(swap, part.a, part.b), True)
    both = np.vstack([part.a, part.b])[rng.permutation(len(part.a) + len(part.b))]
    return Part(part.study, part.platform, both[: len(part.a)], both[len(part.a) :], False)


def _random_sets(
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    arms: Sequence[Mapping[str, str]],
    *,
    design: Design,
    how: Scoring,
    number: int,
) -> list[dict[str, object]]:
    """The same tests on random sets, by compartment and contrast; a warning row where they pass too often."""
    rows = []
    for cell_type, profiles in profiles_of.items():
        own_sets = [s for s in sets if declared(s.compartment) == cell_type]
        if not own_sets or not len(profiles.donors):
            continue
        drawn = random_like(own_sets, profiles, number=number, how=how)
        scorer = Scorer(profiles, drawn, how=how)
        runs: list[list[np.ndarray]] = [[] for _ in range(number)]
        for arm in arms:
            own, _ = eligible(profiles.donors, arm, site=design.primary_site)
            if parts := parts_of(scorer, own, arm, design=design):
                p = pooled_p(parts).reshape(number, len(own_sets))
                for run, values in zip(runs, p, strict=True):
                    run.append(values)
        if runs[0]:
            rows.append(_summary(f"random_sets in {cell_type}", [np.concatenate(run) for run in runs], design=design))
    return rows


def random_like(sets: Sequence[GeneSet], profiles: Profiles, *, number: int, how: Scoring) -> list[GeneSet]:
    """`number` random versions of each set: every gene replaced by one of its expression bin that no set lists."""
    use = profiles.measured()
    symbols = profiles.symbols.to_numpy()[use]
    bins = expression_bins(log_cpm(profiles.counts[:, use]).mean(axis=0), n_bins=how.n_bins)
    listed = {gene for s in sets for gene in (*s.up, *s.down)}
    free = np.array([symbol not in listed for symbol in symbols], bool)
    pools = [np.flatnonzero((bins == b) & free) for b in range(how.n_bins)]
    where = {symbol: i for i, symbol in reversed(list(enumerate(symbols)))}
    drawn = []
    for run in range(number):
        for s in sets:
            rng = np.random.default_rng([how.seed, run, crc32(s.id.encode())])
            sides = [
                tuple(
                    str(symbols[rng.choice(pools[bins[where[g]]])])
                    for g in side
                    if g in where and len(pools[bins[where[g]]])
                )
                for side in (s.up, s.down)
            ]
            drawn.append(
                GeneSet(
                    f"random {run} {s.id}",
                    tuple(dict.fromkeys(sides[0])),
                    tuple(dict.fromkeys(sides[1])),
                    s.compartment,
                )
            )
    return drawn


def _summary(null: str, runs: Sequence[np.ndarray], *, design: Design) -> dict[str, object]:
    p = np.concatenate(runs)
    p = p[np.isfinite(p)]
    found = [bool((effects.fdr(run)[np.isfinite(run)] < design.alpha).any()) for run in runs]
    bound = binomial_bound(len(runs), design.alpha)
    exceeded = sum(found) > bound
    if exceeded:
        log.warning(
            "null %s: %d of %d runs have a discovery, more than chance allows (%d)", null, sum(found), len(runs), bound
        )
    return {
        "kind": null,
        "n_runs": len(runs),
        "n_tests": len(p),
        "share_p05": float((p < 0.05).mean()) if len(p) else np.nan,
        "runs_with_discovery": sum(found),
        "most_expected": bound,
        "exceeded": exceeded,
        "quantile_25": _quantile(p, 0.25),
        "quantile_50": _quantile(p, 0.5),
        "quantile_75": _quantile(p, 0.75),
    }


def _quantile(p: np.ndarray, q: float) -> float:
    return float(np.quantile(p, q)) if len(p) else float("nan")


def binomial_bound(n: int, alpha: float) -> int:
    """Most runs with a discovery that chance explains: the 97.5 % point of a binomial."""
    from scipy import stats

    return int(stats.binom.ppf(0.975, n, alpha))
