"""Drift between studies, for groups that lie in different ones: what random sets of genes show there.

A nested contrast compares studies, and studies differ in all kinds of ways that are not the condition. Random sets of
the same size and expression, in the same cells of the same studies, say how much: a signature must stand out from them.
The same signature in the other compartments says it once more: a shift of the platform is found in all of them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare.across_studies import enough_studies, study_is_unit
from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import Profiles
from brainmet.compare.estimators import NESTED, POOLED, Design
from brainmet.compare.nulls import RandomScores, random_like

RUNS = 200
"""Random sets per signature; the smallest p is 1 / (RUNS + 1)."""


def drift(
    table: pd.DataFrame,
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    contrasts: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
) -> pd.DataFrame:
    """The table of contrasts with `drift`, `p_drift` and `drift_elsewhere` in its nested rows.

    `drift` is the 95 % point of |g| of random sets, `p_drift` the share of them whose |t| reaches the signature's, and
    `drift_elsewhere` the median |g| of the signature in the other compartments.
    """
    table = table.assign(drift=np.nan, p_drift=np.nan, drift_elsewhere=np.nan)
    nested = table[(table["estimator"] == NESTED) & (table["study"] == POOLED) & table["effect"].notna()]
    by_id = {s.id: s for s in sets}
    contrast_of = {contrast.id: contrast for contrast in contrasts}
    for (cell_type, id_), rows in nested.groupby(["cell_type", "contrast"], sort=True):
        asked = [by_id[name] for name in rows["signature"]]
        t = rows["effect"].to_numpy(float) / rows["se"].to_numpy(float)
        profiles = profiles_of[str(cell_type)]
        found = drift_of_random_sets(
            profiles, asked, t, rows.iloc[0], contrast_of[str(id_)], listed=sets, design=design, scoring=scoring
        )
        table.loc[rows.index, ["drift", "p_drift"]] = found
    for _, rows in nested.groupby(["signature", "contrast"], sort=True):
        if len(rows) > 1:
            others = [float(rows["effect"].drop(index).abs().median()) for index in rows.index]
            table.loc[rows.index, "drift_elsewhere"] = others
    return table


def drift_of_random_sets(
    profiles: Profiles,
    sets: Sequence[GeneSet],
    t: np.ndarray,
    row: Mapping[str, object],
    contrast: Contrast,
    *,
    listed: Sequence[GeneSet],
    design: Design,
    scoring: Scoring,
) -> np.ndarray:
    """Per set: the 95 % point of |g| of its random versions, and the share whose |t| reaches the set's own; NaN where
    too few donors can be scored.

    Args:
        profiles: donors of the compartment.
        sets: signatures.
        t: their t values.
        row: a nested row: `studies, platform`.
        contrast: of that row.
        listed: signatures whose genes are no random ones.
    """
    members = contrast.resting_on(row, profiles.donors, site=design.primary_site)
    drawn = random_like(sets, profiles, listed, runs=RUNS, scoring=scoring)
    random = RandomScores(profiles, drawn, scoring=scoring).values
    scores = contrast.per_donor(random, profiles.donors).of(members.index)
    members = members.loc[scores.index]
    if not enough_studies(members, contrast, design):
        return np.full((len(sets), 2), np.nan)
    difference, se, _, _, spread = study_is_unit(scores, members, contrast, design)
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
