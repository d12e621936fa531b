"""Contrasts of signatures in compartments: the rows of `contrasts.tsv`, with the families their FDR is taken over.

Confirmatory: a signature in the compartment it declares. Exploratory: the same signature anywhere else, the whole
sample included. Each family has an FDR of its own, over its deciding (pooled) rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare import compare, donor_scores
from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import PLATFORM, Profiles, declared
from brainmet.compare.estimators import NESTED, NOT_TESTABLE, POOLED, REFUSED, TRANSFER, WITHIN, Design, DonorValues
from brainmet.contract import Compartment, Obs
from brainmet.core.tables import columns, empty
from brainmet.stats import effects

CONFIRMATORY, EXPLORATORY = "confirmatory", "exploratory"
AMBIENT = "ambient_rna"
"""Mark of a finding that ambient RNA makes: without it the finding is lost and much of its difference gone."""
MUCH_AMBIENT = 0.2
"""Share of counts that ambient RNA can explain above which a row is flagged."""


class Scorer:
    """Scores of donors for a contrast: donors of one study as in `donor_scores.tsv`, donors of several on their
    common genes."""

    def __init__(self, profiles: Profiles, sets: Sequence[GeneSet], *, scoring: Scoring) -> None:
        self.profiles, self.sets, self.scoring = profiles, sets, scoring
        self._known: dict[tuple[str, ...], tuple[pd.DataFrame, pd.DataFrame]] = {}

    @property
    def values(self) -> DonorValues:
        """The scores as what donors are compared by."""
        return DonorValues(pd.Index([s.id for s in self.sets]), self.scores)

    def scores(self, donors: pd.Index) -> pd.DataFrame:
        """Donors × signatures, of the donors that are deep enough."""
        together = self.profiles.scored_with(donors)
        if tuple(together) not in self._known:
            self._known[tuple(together)] = donor_scores.scores(
                self.profiles.of(together), self.sets, scoring=self.scoring
            )
        table, _ = self._known[tuple(together)]
        return table.loc[donors.intersection(table.index, sort=False)]

    def coverage(self, donors: pd.Index) -> pd.DataFrame:
        """By signature, `coverage`, the share of its genes measured where these donors are scored, and `reason`, why it
        cannot be scored there (empty where it can)."""
        together = self.profiles.scored_with(donors)
        if tuple(together) in self._known:
            return self._known[tuple(together)][1]
        return donor_scores.coverage(self.profiles.of(together), self.sets, scoring=self.scoring)


def contrasts(
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    compared: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
    clean: Mapping[str, Profiles] | None = None,
) -> pd.DataFrame:
    """Every signature in every compartment for every contrast, sorted; exploratory rows only where something was
    estimated.

    Args:
        profiles_of: donor profiles by compartment.
        sets: signatures.
        compared: the contrasts.
        design, scoring: what every contrast shares, and how donors are scored.
        clean: the same less ambient RNA: what is left of an effect there stands beside it (`effect_clean`, `p_clean`).
    """
    blocks = [
        contrasts_of(cell_type, profiles, sets, compared, design=design, scoring=scoring)
        for cell_type, profiles in profiles_of.items()
    ]
    if not blocks:
        return empty("contrasts")
    table = pd.concat(blocks, ignore_index=True)
    if clean is not None:
        table = _with_clean(table, profiles_of, clean, sets, compared, design=design, scoring=scoring)
    return with_families(table, {s.id: declared(s.compartment) for s in sets})


def contrasts_of(
    cell_type: str,
    profiles: Profiles,
    sets: Sequence[GeneSet],
    compared: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
) -> pd.DataFrame:
    """Rows of every signature in one compartment for every contrast, with the share of its genes measured."""
    scorer = Scorer(profiles, sets, scoring=scoring)
    blocks = []
    for contrast in compared:
        rows = compare(scorer.values, profiles.donors, contrast, design=design)
        blocks.append(_covered(rows, scorer, contrast, site=design.primary_site))
    return pd.concat(blocks, ignore_index=True).rename(columns={"feature": "signature"}).assign(cell_type=cell_type)


def _covered(rows: pd.DataFrame, scorer: Scorer, contrast: Contrast, *, site: str) -> pd.DataFrame:
    """The rows of a contrast with `coverage` and, where nothing could be scored, the reason.

    A study's row has the coverage in that study, and the pooled row the least of the studies that it rests on. Donors
    of several studies that are scored together have one coverage.
    """
    rows = rows.assign(coverage=np.nan)
    everyone = scorer.profiles.donors
    for _, block in rows.groupby(["estimator", "primary_site"], sort=False):
        parts, whole = block[block["study"] != POOLED].copy(), block[block["study"] == POOLED]
        why = pd.Series("", block.index, dtype=object)
        for (study, platform), of_study in parts.groupby([Obs.STUDY, PLATFORM], sort=False):
            here = everyone.index[(everyone[Obs.STUDY] == study) & (everyone[PLATFORM] == platform)]
            found = scorer.coverage(here).loc[of_study["feature"]]
            parts.loc[of_study.index, "coverage"] = found["coverage"].to_numpy()
            why[of_study.index] = found["reason"].to_numpy()
        if len(parts):
            # Of a signature that no study can score, the least measured says why.
            order = parts.assign(lost=parts["effect"].isna(), why=why).sort_values(["lost", "coverage"], kind="stable")
            found = order.drop_duplicates("feature").set_index("feature")
            found = found.assign(reason=found["why"])
        elif len(donors := contrast.resting_on(block.iloc[0], everyone, site=site)):
            found = scorer.coverage(donors.index)
        else:
            continue
        rows.loc[parts.index, "coverage"] = parts["coverage"]
        rows.loc[whole.index, "coverage"] = found.loc[whole["feature"], "coverage"].to_numpy()
        why[whole.index] = found.loc[whole["feature"], "reason"].to_numpy()
        if block["estimator"].iloc[0] not in (NOT_TESTABLE, REFUSED):
            unscored = block.index[(why != "") & block["effect"].isna()]
            rows.loc[unscored, "reason"] = why[unscored]
    return rows


def _with_clean(
    table: pd.DataFrame,
    raw: Mapping[str, Profiles],
    clean: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    compared: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
) -> pd.DataFrame:
    """The table with effect, p and difference of each deciding row after ambient RNA is taken off, and the largest
    ambient share."""
    keys = ["signature", "cell_type", "contrast", "estimator", "primary_site", "study"]
    blocks = []
    for cell_type in sorted(set(table.loc[table["estimator"].isin([WITHIN, NESTED]), "cell_type"]) - {Compartment.ANY}):
        rows = contrasts_of(cell_type, clean[cell_type], sets, compared, design=design, scoring=scoring)
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
    where = donor_scores.first_of_symbol(raw.symbols)
    shares = {}
    for s in sets:
        columns_ = [where[gene] for gene in dict.fromkeys((*s.up, *s.down)) if gene in where]
        total, left = np.nansum(x[:, columns_], axis=1), np.nansum(y[:, columns_], axis=1)
        share = 1 - left[total > 0] / total[total > 0]
        shares[s.id] = float(share.max()) if len(share) else np.nan
    return shares


def with_families(table: pd.DataFrame, home: Mapping[str, str]) -> pd.DataFrame:
    """The table with families and the FDR of each, all columns, sorted. `home` is the declared compartment of each
    signature; exploratory rows without an effect are left out."""
    confirmed = table["signature"].map(home) == table["cell_type"]
    table = table[confirmed | table["effect"].notna()].reindex(columns=columns("contrasts")).assign(explained_by="")
    table["family"] = np.where(confirmed[table.index], CONFIRMATORY, EXPLORATORY)
    table.loc[table["estimator"] == TRANSFER, "family"] = TRANSFER
    table["ambient_flag"] = table["ambient_max"] > MUCH_AMBIENT
    table["fdr"], table["fdr_clean"] = np.nan, np.nan
    judged = (table["study"] == POOLED) & table["estimator"].isin([WITHIN, NESTED, TRANSFER])
    for family in (CONFIRMATORY, EXPLORATORY, TRANSFER):
        rows = judged & (table["family"] == family)
        for p, adjusted in (("p", "fdr"), ("p_clean", "fdr_clean")):
            table.loc[rows, adjusted] = effects.fdr(table.loc[rows, p].to_numpy(float))
    keys = ["signature", "cell_type", "contrast", "estimator", "primary_site", "study"]
    return table.sort_values(keys, kind="stable", ignore_index=True)
