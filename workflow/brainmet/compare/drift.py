"""Drift between studies, for arms that lie in different ones: what random sets of genes show there.

A nested contrast compares studies, and studies differ in all kinds of ways that are not the condition. Random sets of
the same size and expression, in the same cells of the same studies, say how much: a signature must stand out from them.
The same signature in the other compartments says it once more: a shift of the platform is found in all of them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare.across_studies import enough_studies, study_is_unit
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import PLATFORM, Profiles
from brainmet.compare.estimators import NESTED, POOLED, Design, Values, eligible
from brainmet.compare.nulls import RandomScores, random_like
from brainmet.contract import Obs

RUNS = 200
"""Random sets a signature; the smallest p is one in so many and one."""


def drift(
    table: pd.DataFrame,
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    arms: Sequence[Mapping[str, str]],
    *,
    design: Design,
    how: Scoring,
) -> pd.DataFrame:
    """The table of contrasts with `drift`, `p_drift` and `drift_elsewhere` in its nested rows.

    `drift` is the 95 % point of |g| of random sets, `p_drift` the share of them whose |t| reaches the signature's, and
    `drift_elsewhere` the median |g| of the signature in the other compartments.
    """
    table = table.assign(drift=np.nan, p_drift=np.nan, drift_elsewhere=np.nan)
    nested = table[(table["estimator"] == NESTED) & (table["study"] == POOLED) & table["effect"].notna()]
    by_id = {s.id: s for s in sets}
    for (cell_type, contrast), rows in nested.groupby(["cell_type", "contrast"], sort=True):
        arm = next(a for a in arms if a["id"] == contrast)
        asked = [by_id[name] for name in rows["signature"]]
        t = rows["effect"].to_numpy(float) / rows["se"].to_numpy(float)
        first = rows.iloc[0]
        profiles = profiles_of[str(cell_type)]
        found = gauge(profiles, asked, t, first, arm, donors=profiles.donors, listed=sets, design=design, how=how)
        table.loc[rows.index, ["drift", "p_drift"]] = found
    for _, rows in nested.groupby(["signature", "contrast"], sort=True):
        if len(rows) > 1:
            others = [float(rows["effect"].drop(index).abs().median()) for index in rows.index]
            table.loc[rows.index, "drift_elsewhere"] = others
    return table


def gauge(
    profiles: Profiles,
    sets: Sequence[GeneSet],
    t: np.ndarray,
    row: Mapping[str, object],
    arm: Mapping[str, str],
    *,
    donors: pd.DataFrame,
    per_donor: Callable[[Values], Values] = lambda values: values,
    listed: Sequence[GeneSet],
    design: Design,
    how: Scoring,
) -> np.ndarray:
    """Per set: the 95 % point of |g| of its random versions, and the share whose |t| reaches the set's own; NaN where
    too few donors can be scored.

    Args:
        profiles: donors of the compartment.
        sets: signatures.
        t: their t values.
        row: a nested row: `studies, platform`.
        arm: the contrast.
        donors: those of the profiles that are compared, by the condition that is.
        per_donor: makes values of donors of those of profiles, where a donor has several.
        listed: signatures whose genes are no random ones.
    """
    own = eligible(donors, arm, site=design.primary_site)[0]
    members = own[own[Obs.STUDY].isin(str(row["studies"]).split(";")) & (own[PLATFORM] == row["platform"])]
    drawn = random_like(sets, profiles, listed, runs=RUNS, how=how)
    scores = per_donor(RandomScores(profiles, drawn, how=how))(members.index)
    members = members.loc[scores.index]
    if not enough_studies(members, arm, design):
        return np.full((len(sets), 2), np.nan)
    difference, se, _, _, spread = study_is_unit(scores, members, arm, design)
    g = np.abs(difference / spread).reshape(len(sets), RUNS)
    random_t = np.abs(difference / se).reshape(len(sets), RUNS)
    p = (1 + (random_t >= np.abs(t)[:, None]).sum(axis=1)) / (1 + RUNS)
    known = np.isfinite(random_t).all(axis=1)
    return np.column_stack(
        [
            np.where(known, np.nanquantile(np.where(known[:, None], g, 0), 0.95, axis=1), np.nan),
            np.where(known, p, np.nan),
        ]
    )
