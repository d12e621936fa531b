"""What a contrast cannot be told from, whatever its p: covariates that change with the condition in every study.

Where all metastases were dissociated in one way and all primary tumours in another, no slope inside an arm can tell the
two apart. One donor who has the other arm's value is enough to try (`confounders`).
"""

from collections.abc import Mapping

import pandas as pd

from brainmet.compare.donors import PLATFORM
from brainmet.compare.estimators import NESTED, Design, arms_of, eligible
from brainmet.contract import UNKNOWN, Obs

MIXED = "mixed"
"""Value of donors whose samples differ."""
RECEPTORS = {
    "er": {"pos": "pos", "neg": "neg", MIXED: MIXED},
    "her2": {"pos": "pos", "amp": "pos", "0": "neg", "low": "neg", "neg": "neg", MIXED: MIXED},
}
PROTOCOL = ("dissociation", "enrichment", "values")
SAMPLED = "sampled"
"""The condition of donors that a claim compares by something else (`readouts.relabelled`)."""


def coinciding(
    donors: pd.DataFrame, arms: Mapping[str, str], row: Mapping[str, object], *, design: Design
) -> list[str]:
    """Names of receptors and of steps of the protocol in which no donor of one arm is as any of the other, in every
    study of a row; what is known of fewer than `min_donors` of an arm is not named.

    Args:
        donors: those of the compartment, by the condition that is compared.
        arms: the contrast; what it compares by (`by`) is not named.
        row: a pooled row of it: `estimator, studies, platform`.
        design: of the contrasts.
    """
    own = eligible(donors, arms, site=design.primary_site)[0]
    used = own[
        own[Obs.STUDY].isin(str(row["studies"]).split(";")) & own[PLATFORM].isin(str(row["platform"]).split(";"))
    ]
    # Donors of one name in two studies are two people.
    used = used.assign(**{Obs.DONOR: used[Obs.STUDY] + "|" + used[Obs.DONOR]})
    by = [PLATFORM] if row["estimator"] == NESTED else [Obs.STUDY, PLATFORM]
    pairs = []
    for _, members in used.groupby(by, sort=True):
        a, b = (members.loc[arm] for arm in arms_of(members, arms, design))
        # What changed in a patient between two of its tumours is no difference between patients.
        patients = a[Obs.DONOR].tolist() != b[Obs.DONOR].tolist()
        if min(len(a), len(b)) >= design.min_donors:
            pairs.append((a, b, patients))
    compared = {*RECEPTORS, "subtype"} if arms.get("by") == "subtype" else {arms.get("by")}
    names = [n for n in (*RECEPTORS, *PROTOCOL, SAMPLED) if n in donors and n not in compared]
    return [
        name
        for name in names
        if pairs and all((patients or name not in RECEPTORS) and _apart(a, b, name, design) for a, b, patients in pairs)
    ]


def _apart(a: pd.DataFrame, b: pd.DataFrame, name: str, design: Design) -> bool:
    """Whether two arms have no value of a covariate in common, as far as it is known."""
    values = [arm[name].map(RECEPTORS.get(name, str)) for arm in (a, b)]
    left, right = (own[own.notna() & (own != UNKNOWN)] for own in values)
    if min(len(left), len(right)) < design.min_donors:
        return False
    return not set(left) & set(right) and MIXED not in {*left, *right}
