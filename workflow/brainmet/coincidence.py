"""What a contrast cannot be told from, whatever its p: covariates that change with the condition in every study.

Where all metastases were dissociated in one way and all primary tumours in another, no slope inside an arm can tell the
two apart. One donor who has the other arm's value is enough to try (`confounders`).
"""

from collections.abc import Mapping

import pandas as pd

from brainmet.contract import UNKNOWN, Obs
from brainmet.donors import PLATFORM
from brainmet.estimators import NESTED, Design, arms_of, eligible

RECEPTORS = {
    "er": {"pos": "pos", "neg": "neg"},
    "her2": {"pos": "pos", "amp": "pos", "0": "neg", "low": "neg", "neg": "neg"},
}
PROTOCOL = ("dissociation", "enrichment", "values")
SAMPLED = "sampled"
"""The condition of donors that a claim compares by something else (`readouts.relabelled`)."""
MIXED = "mixed"
"""Value of donors whose samples differ."""


def coinciding(
    donors: pd.DataFrame, arms: Mapping[str, str], row: Mapping[str, object], *, design: Design
) -> list[str]:
    """Names of receptors and of steps of the protocol in which no donor of one arm is as any of the other, in every
    study of a row; what is not known of some arm is not named.

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
    by = [PLATFORM] if row["estimator"] == NESTED else [Obs.STUDY, PLATFORM]
    pairs = []
    for _, members in used.groupby(by, sort=True):
        a, b = (members.loc[arm] for arm in arms_of(members, arms, design))
        # What changed in a patient between two of its tumours is no difference between patients.
        patients = a[Obs.DONOR].tolist() != b[Obs.DONOR].tolist()
        if len(a) and len(b):
            pairs.append((a, b, patients))
    compared = {*RECEPTORS, "subtype"} if arms.get("by") == "subtype" else {arms.get("by")}
    names = [n for n in (*RECEPTORS, *PROTOCOL, SAMPLED) if n in donors and n not in compared]
    return [name for name in names if pairs and all(_apart(a, b, name, patients) for a, b, patients in pairs)]


def _apart(a: pd.DataFrame, b: pd.DataFrame, name: str, patients: bool) -> bool:
    """Whether two arms have no value of a covariate in common."""
    if name in RECEPTORS and not patients:
        return False
    left, right = (set(arm[name].map(RECEPTORS.get(name, str)).dropna()) - {UNKNOWN} for arm in (a, b))
    return bool(left and right) and not left & right and MIXED not in left | right
