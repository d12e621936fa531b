"""Contrasts of signatures in compartments: the rows of `contrasts.tsv`, with the families their FDR is taken over.

Confirmatory: a signature in the compartment it declares. Exploratory: the same signature anywhere else, the whole
sample included. Each family has an FDR of its own, over its deciding (pooled) rows.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare import contrast, donor_scores
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import ANY, PLATFORM, Profiles, declared
from brainmet.compare.estimators import NESTED, POOLED, TRANSFER, WITHIN, Design
from brainmet.contract import Obs
from brainmet.core.tables import columns, empty
from brainmet.stats import effects

log = logging.getLogger(__name__)

CONFIRMATORY, EXPLORATORY = "confirmatory", "exploratory"
AMBIENT = "ambient_rna"
"""Mark of a finding that ambient RNA makes: without it the finding is lost and much of its difference gone."""
MUCH_AMBIENT = 0.2
"""Share of counts that ambient RNA can explain above which a row is flagged."""


class Scorer:
    """Scores of donors for a contrast: donors of one study as in `donor_scores.tsv`, donors of several on their
    common genes.

    Call it with donors to get donors × signatures. `coverage` holds, by signature, the least share of genes measured
    in the donors it was called with, and why a signature cannot be scored.
    """

    def __init__(self, profiles: Profiles, sets: Sequence[GeneSet], *, how: Scoring) -> None:
        self.profiles, self.sets, self.how = profiles, sets, how
        self.coverage: dict[str, tuple[float, str]] = {}
        self._known: dict[tuple[str, ...], pd.DataFrame] = {}

    def __call__(self, donors: pd.Index) -> pd.DataFrame:
        """Values of the donors that are deep enough."""
        if not len(donors):
            return pd.DataFrame(columns=[s.id for s in self.sets], dtype=float)
        everyone = self.profiles.donors
        chosen = everyone.loc[donors]
        if chosen[Obs.STUDY].nunique() == 1 and chosen[PLATFORM].nunique() == 1:
            same = (everyone[Obs.STUDY] == chosen[Obs.STUDY].iloc[0]) & (everyone[PLATFORM] == chosen[PLATFORM].iloc[0])
            table = self._scores(everyone.index[same])
        else:
            table = self._scores(donors)
        return table.loc[donors.intersection(table.index, sort=False)]

    def _scores(self, donors: pd.Index) -> pd.DataFrame:
        key = tuple(donors)
        if key not in self._known:
            rows = self.profiles.donors.index.get_indexer(donors)
            self._known[key], coverage = donor_scores.scores(self.profiles.take(rows), self.sets, how=self.how)
            for signature, row in coverage.iterrows():
                before = self.coverage.get(str(signature), (1.0, ""))
                self.coverage[str(signature)] = (min(before[0], row["coverage"]), before[1] or row["reason"])
        return self._known[key]


def contrasts(
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    arms: Sequence[Mapping[str, str]],
    *,
    design: Design,
    how: Scoring,
    clean: Mapping[str, Profiles] | None = None,
) -> pd.DataFrame:
    """Every signature in every compartment for every contrast, sorted; exploratory rows only where something was
    estimated.

    Args:
        profiles_of: donor profiles by compartment.
        clean: the same less ambient RNA: what is left of an effect there stands beside it (`effect_clean`, `p_clean`).
    """
    blocks = [
        contrasts_of(cell_type, profiles, sets, arms, design=design, how=how)
        for cell_type, profiles in profiles_of.items()
    ]
    if not blocks:
        return empty("contrasts")
    table = pd.concat(blocks, ignore_index=True)
    if clean is not None:
        table = _beside(table, profiles_of, clean, sets, arms, design=design, how=how)
    return finish(table, {s.id: declared(s.compartment) for s in sets})


def contrasts_of(
    cell_type: str,
    profiles: Profiles,
    sets: Sequence[GeneSet],
    arms: Sequence[Mapping[str, str]],
    *,
    design: Design,
    how: Scoring,
) -> pd.DataFrame:
    """Rows of one compartment."""
    scorer = Scorer(profiles, sets, how=how)
    blocks = []
    for arm in arms:
        rows = contrast(scorer, profiles.donors, arm, design=design)
        coverage = [scorer.coverage.get(feature, (np.nan, "")) for feature in rows["feature"]]
        why = pd.Series([reason for _, reason in coverage], rows.index, dtype=object)
        reason = rows["reason"].where((why == "") | rows["effect"].notna(), why)
        blocks.append(rows.assign(coverage=[share for share, _ in coverage], reason=reason))
    return pd.concat(blocks, ignore_index=True).rename(columns={"feature": "signature"}).assign(cell_type=cell_type)


def _beside(
    table: pd.DataFrame,
    raw: Mapping[str, Profiles],
    clean: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    arms: Sequence[Mapping[str, str]],
    *,
    design: Design,
    how: Scoring,
) -> pd.DataFrame:
    """The table with effect, p and difference of each deciding row after ambient RNA is taken off, and the largest
    ambient share."""
    keys = ["signature", "cell_type", "contrast", "estimator", "primary_site", "study"]
    blocks = []
    for cell_type in sorted(set(table.loc[table["estimator"].isin([WITHIN, NESTED]), "cell_type"]) - {ANY}):
        rows = contrasts_of(cell_type, clean[cell_type], sets, arms, design=design, how=how)
        rows["ambient_max"] = rows["signature"].map(ambient_share(raw[cell_type], clean[cell_type], sets))
        blocks.append(rows)
    if not blocks:
        return table
    rest = {name: f"{name}_clean" for name in ("effect", "p", "difference")}
    rows = pd.concat(blocks, ignore_index=True).rename(columns=rest)
    return table.merge(rows[[*keys, *rest.values(), "ambient_max"]], on=keys, how="left", validate="one_to_one")


def ambient_share(raw: Profiles, clean: Profiles, sets: Sequence[GeneSet]) -> dict[str, float]:
    """Largest share over donors of a signature's counts that ambient RNA can explain."""
    both = raw.donors.index.intersection(clean.donors.index, sort=False)
    x, y = (p.counts[p.donors.index.get_indexer(both)] for p in (raw, clean))
    where = {symbol: i for i, symbol in reversed(list(enumerate(raw.symbols)))}
    shares = {}
    for s in sets:
        columns_ = [where[gene] for gene in dict.fromkeys((*s.up, *s.down)) if gene in where]
        total, left = np.nansum(x[:, columns_], axis=1), np.nansum(y[:, columns_], axis=1)
        share = 1 - left[total > 0] / total[total > 0]
        shares[s.id] = float(share.max()) if len(share) else np.nan
    return shares


def finish(table: pd.DataFrame, home: Mapping[str, str]) -> pd.DataFrame:
    """Families, FDR, columns and order. `home` is the declared compartment of each signature."""
    confirmed = table["signature"].map(home) == table["cell_type"]
    table = table[confirmed | table["effect"].notna()].copy()
    table["family"] = np.where(confirmed[table.index], CONFIRMATORY, EXPLORATORY)
    table.loc[table["estimator"] == TRANSFER, "family"] = TRANSFER
    for name in columns("contrasts"):
        if name not in table:
            table[name] = "" if name == "explained_by" else np.nan
    table["ambient_flag"] = table["ambient_max"] > MUCH_AMBIENT
    table["fdr"], table["fdr_clean"] = np.nan, np.nan
    judged = (table["study"] == POOLED) & table["estimator"].isin([WITHIN, NESTED, TRANSFER])
    for family in (CONFIRMATORY, EXPLORATORY, TRANSFER):
        rows = judged & (table["family"] == family)
        for p, adjusted in (("p", "fdr"), ("p_clean", "fdr_clean")):
            table.loc[rows, adjusted] = effects.fdr(table.loc[rows, p].to_numpy(float))
    keys = ["signature", "cell_type", "contrast", "estimator", "primary_site", "study"]
    return table.sort_values(keys, kind="stable", ignore_index=True)[columns("contrasts")]
