"""What all contrasts share: the names of the estimators, the design, and the donors that may stand in each arm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from brainmet.contract import UNKNOWN, Obs

POOLED = "pooled"
WITHIN, NESTED, TRANSFER = "within", "nested", "transfer"
CONFOUNDED, REFUSED, NOT_TESTABLE = "confounded", "refused", "not_testable"
NO_SITE = frozenset({"normal_brain", "normal_breast", "peritumoural_brain"})
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


def eligible(donors: pd.DataFrame, arms: Mapping[str, Any], *, site: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Donors of the two conditions with the primary tumour asked about, and those with another known one.

    Tissue without a tumour belongs to both. Donors whose primary is unknown are in neither: a metastasis is compared
    with its own primary tumour only. The site `*` takes all donors. Tumours are those that have the values asked for
    (`where`: a subtype, a receptor).
    """
    both = donors[donors[Obs.CONDITION].isin([arms["a"], arms["b"]])]
    for column, value in arms.get("where", {}).items():
        wanted = value if isinstance(value, list) else [value]
        both = both[both[Obs.CONDITION].isin(NO_SITE) | both[column].isin(wanted)]
    free = both[Obs.CONDITION].isin(NO_SITE)
    if site == ANY_SITE:
        return both, both[:0]
    return both[free | (both["primary_site"] == site)], both[free | ~both["primary_site"].isin([site, UNKNOWN])]


def arms_of(members: pd.DataFrame, arms: Mapping[str, str], design: Design) -> tuple[pd.Index, pd.Index]:
    """Profiles of each arm. Donors seen in both arms are compared with themselves when there are enough of them
    (rows of the arms then correspond); otherwise they count in the smaller arm alone, so that no donor stands on
    both sides."""
    a, b = (members[members[Obs.CONDITION] == arms[side]].sort_values(Obs.DONOR, kind="stable") for side in "ab")
    twice = sorted(set(a[Obs.DONOR]) & set(b[Obs.DONOR]))
    if len(twice) >= design.min_donors:
        return a.index[a[Obs.DONOR].isin(twice)], b.index[b[Obs.DONOR].isin(twice)]
    if twice and len(a) <= len(b):
        b = b[~b[Obs.DONOR].isin(twice)]
    elif twice:
        a = a[~a[Obs.DONOR].isin(twice)]
    return a.index, b.index
