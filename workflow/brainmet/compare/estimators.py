"""What all contrasts share: the names of the estimators, the design, and the donors that may stand in each arm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from brainmet.compare.donors import HUMAN
from brainmet.conditions import GLIOMA, ids
from brainmet.contract import UNKNOWN, Obs, Uns

POOLED = "pooled"
WITHIN, NESTED, TRANSFER = "within", "nested", "transfer"
CONFOUNDED, REFUSED, NOT_TESTABLE = "confounded", "refused", "not_testable"
NO_SITE = frozenset(ids(normal=True))
"""Conditions of tissue that has no primary tumour."""
ANY_SITE = "*"

Values = Callable[[pd.Index], pd.DataFrame]
"""Donors that are to be compared with each other → donors × features; NaN where a feature cannot be read in them."""


@dataclass(frozen=True)
class Design:
    """What every contrast shares; see `config: compare`."""

    min_donors: int
    min_studies: int
    primary_site: str
    permutations: int
    seed: int
    power: float
    alpha: float


def without_site(arms: Mapping[str, Any]) -> frozenset[str]:
    """Conditions of a contrast that no primary tumour is asked of: tissue without a tumour, and glioma as what another
    tumour is compared with."""
    return NO_SITE | ({GLIOMA} if {arms["a"], arms["b"]} - NO_SITE - {GLIOMA} else set())


def eligible(donors: pd.DataFrame, arms: Mapping[str, Any], *, site: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Donors of the two conditions with the primary tumour asked about, and those with another known one.

    Controls without that primary (`without_site`) belong to both. Donors whose primary is unknown are in neither: a
    metastasis is compared with its own primary tumour only. The site `*` takes all donors. Tumours are those that have
    the values asked for (`where`: a subtype, a receptor). Models stand in for patients, never beside them
    (`of_patients`).
    """
    both = donors[donors[Obs.CONDITION].isin([arms["a"], arms["b"]])]
    for column, value in arms.get("where", {}).items():
        wanted = value if isinstance(value, list) else [value]
        both = both[both[Obs.CONDITION].isin(without_site(arms)) | both[column].isin(wanted)]
    free = both[Obs.CONDITION].isin(without_site(arms))
    if site == ANY_SITE:
        return of_patients(both), both[:0]
    other = both[free | ~both["primary_site"].isin([site, UNKNOWN])]
    return of_patients(both[free | (both["primary_site"] == site)]), of_patients(other)


def of_patients(donors: pd.DataFrame) -> pd.DataFrame:
    """The patients, where every condition of these donors has one; else all of them, of whatever species."""
    patients = donors[donors[Uns.ORGANISM].isin(HUMAN)]
    return patients if set(patients[Obs.CONDITION]) == set(donors[Obs.CONDITION]) else donors


def arms_of(members: pd.DataFrame, arms: Mapping[str, str], design: Design) -> tuple[pd.Index, pd.Index]:
    """Profiles of each arm. Donors seen in both arms are compared with themselves when there are enough of them
    (rows of the arms then correspond); otherwise they count in the smaller arm alone, so that no donor stands on
    both sides."""
    who = members[[Obs.DONOR, Obs.CONDITION]]
    a, b = (who[who[Obs.CONDITION] == arms[side]].sort_values(Obs.DONOR, kind="stable") for side in "ab")
    twice = sorted(set(a[Obs.DONOR]) & set(b[Obs.DONOR]))
    if len(twice) >= design.min_donors:
        return a.index[a[Obs.DONOR].isin(twice)], b.index[b[Obs.DONOR].isin(twice)]
    if twice and len(a) <= len(b):
        b = b[~b[Obs.DONOR].isin(twice)]
    elif twice:
        a = a[~a[Obs.DONOR].isin(twice)]
    return a.index, b.index
