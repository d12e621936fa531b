"""What a contrast cannot be told from, whatever its p: covariates that change with the condition in every study.

Where all metastases were dissociated in one way and all primary tumours in another, no slope inside a group can tell
the two apart. One donor who has the other group's value is enough to try (`confounders`).
"""

from collections.abc import Mapping

import pandas as pd

from brainmet.compare.contrast import SAMPLED, Contrast
from brainmet.compare.donors import MIXED, PLATFORM
from brainmet.compare.estimators import NESTED, Design
from brainmet.contract import UNKNOWN, Obs
from brainmet.pseudobulk import SUBTYPE

RECEPTORS = {
    "er": {"pos": "pos", "neg": "neg", MIXED: MIXED},
    "her2": {"pos": "pos", "amp": "pos", "0": "neg", "low": "neg", "neg": "neg", MIXED: MIXED},
}
PROTOCOL = ("dissociation", "enrichment", "values", "batch")

DIFFER_TOO = "in every study the two groups differ in {} too"
"""What is said of a contrast with the names of what coincides."""


def coinciding(donors: pd.DataFrame, contrast: Contrast, row: Mapping[str, object], *, design: Design) -> list[str]:
    """Names of receptors and of steps of the protocol in which no donor of one group is as any of the other, in every
    study of a row; what is known of fewer than `min_donors` of a group is not named.

    Args:
        donors: those of the compartment.
        contrast: what it compares by (`by`) is not named.
        row: a pooled row of it: `estimator, studies, platform`.
        design: of the contrasts.
    """
    used = contrast.resting_on(row, donors, site=design.primary_site)
    # Donors of one name in two studies are two people.
    used = used.assign(**{Obs.DONOR: used[Obs.STUDY] + "|" + used[Obs.DONOR]})
    by = [PLATFORM] if row["estimator"] == NESTED else [Obs.STUDY, PLATFORM]
    pairs = []
    for _, members in used.groupby(by, sort=True):
        a, b = (members.loc[side] for side in contrast.sides(members, min_donors=design.min_donors))
        # What changed in a patient between two of its tumours is no difference between patients.
        patients = a[Obs.DONOR].tolist() != b[Obs.DONOR].tolist()
        if min(len(a), len(b)) >= design.min_donors:
            pairs.append((a, b, patients))
    compared = {*RECEPTORS, SUBTYPE} if contrast.by == SUBTYPE else {contrast.by}
    names = [n for n in (*RECEPTORS, *PROTOCOL, SAMPLED) if n in used and n not in compared]
    return [
        name
        for name in names
        if pairs and all((patients or name not in RECEPTORS) and _apart(a, b, name, design) for a, b, patients in pairs)
    ]


def _apart(a: pd.DataFrame, b: pd.DataFrame, name: str, design: Design) -> bool:
    """Whether two groups have no value of a covariate in common, as far as it is known; values that tell every donor
    from every other, such as a batch for each, tell no groups apart."""
    values = [group[name].map(RECEPTORS.get(name, str)) for group in (a, b)]
    left, right = (known[known.notna() & (known != UNKNOWN)] for known in values)
    if min(len(left), len(right)) < design.min_donors:
        return False
    known = pd.concat([left, right])
    return known.nunique() < len(known) and not set(left) & set(right) and MIXED not in {*left, *right}
