"""Groups that lie in different studies: what can be estimated there, and the sentence where nothing can.

With three studies per group the study is the unit of a `nested` estimate. With fewer, study and condition are one and
the same, and the contrast is `confounded`, `refused` or `not_testable`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from brainmet.compare.contrast import ANY_SITE, Contrast
from brainmet.compare.donors import PLATFORM
from brainmet.compare.estimators import CONFOUNDED, NESTED, NOT_TESTABLE, POOLED, REFUSED, UNPAIRED, Design, DonorValues
from brainmet.contract import Obs, Uns
from brainmet.stats import effects, student
from brainmet.stats.power import detectable

LEAST_SPREAD = 1e-3
"""Least spread of donors in a group, as a share of that in both: a group without any, as of a gene that none of its
donors expresses, is known well and not beyond all bounds."""


class Shared(NamedTuple):
    """A platform on which both groups lie in enough studies: values and members of these, in one order."""

    platform: str
    table: pd.DataFrame
    members: pd.DataFrame


def nested(values: DonorValues, donors: pd.DataFrame, contrast: Contrast, design: Design) -> list[pd.DataFrame]:
    """Pooled rows where studies hold one group only, at least `min_studies` of each on one platform: the study is the
    unit. Of several such platforms the one with most studies decides: their donors may be the same."""
    found = []
    for platform, members in donors.groupby(PLATFORM, sort=True):
        alone = members.groupby(Obs.STUDY)[Obs.CONDITION].transform("nunique") == 1
        if not enough_studies(members[alone], contrast, design):
            continue
        table = values.of(members.index[alone])
        used = _of_full_studies(members.loc[table.index], design)
        if enough_studies(used, contrast, design):
            table = table if len(used) == len(table) else values.of(used.index)
            found.append(Shared(str(platform), table.loc[used.index], used))
    if not found:
        return []
    most = max(found, key=lambda shared: (shared.members[Obs.STUDY].nunique(), len(shared.members)))
    return [_nested(most, contrast, design)]


def _nested(shared: Shared, contrast: Contrast, design: Design) -> pd.DataFrame:
    """The pooled rows, one per feature."""
    platform, table, used = shared
    difference, se, p, df, spread = study_is_unit(table, used, contrast, design)
    spread = np.where(spread > effects.NO_SPREAD, spread, np.nan)
    half = student.isf(effects.TAIL, df) * se
    n_a, n_b = ((used[Obs.CONDITION] == group).sum() for group in contrast.groups)
    return pd.DataFrame(
        {
            "feature": table.columns,
            "study": POOLED,
            "estimator": NESTED,
            "model": "study_is_unit",
            "platform": platform,
            "studies": ";".join(sorted(set(used[Obs.STUDY]))),
            "n_studies": used[Obs.STUDY].nunique(),
            "design": UNPAIRED,
            "effect": difference / spread,
            "se": se / spread,
            "ci_low": (difference - half) / spread,
            "ci_high": (difference + half) / spread,
            "difference": difference,
            "difference_low": difference - half,
            "difference_high": difference + half,
            "p": p,
            "n_a": n_a,
            "n_b": n_b,
            "n_donors": n_a + n_b,
            "mde": detectable(se / spread, df, power=design.power, alpha=design.alpha),
            "simulated": bool(used[Uns.SIMULATED].any()),
            "reason": np.where(np.isfinite(difference / spread), "", "not scorable, or without variation"),
        }
    )


def study_is_unit(
    table: pd.DataFrame, members: pd.DataFrame, contrast: Contrast, design: Design
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]:
    """Difference of two groups in different studies, its standard error, p and degrees of freedom, and the standard
    deviation of donors around their study."""
    spread = np.sqrt(_within_variance(table, members))
    a, b = (_study_means(table, members[members[Obs.CONDITION] == group], spread, design) for group in contrast.groups)
    return *effects.nested(a, b), spread


def _of_full_studies(members: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Donors of studies that hold enough of them."""
    return members[members.groupby(Obs.STUDY)[Obs.DONOR].transform("size") >= design.min_donors]


def _n_studies(members: pd.DataFrame, contrast: Contrast, design: Design) -> tuple[int, int]:
    """Studies with enough donors, by group."""
    sizes = members.groupby([Obs.CONDITION, Obs.STUDY]).size()
    counts = sizes[sizes >= design.min_donors].groupby(level=0).size()
    return int(counts.get(contrast.a, 0)), int(counts.get(contrast.b, 0))


def enough_studies(members: pd.DataFrame, contrast: Contrast, design: Design) -> bool:
    """Whether each group lies in enough studies with enough donors for the study to be the unit."""
    return min(_n_studies(members, contrast, design)) >= design.min_studies


def _study_means(
    table: pd.DataFrame, members: pd.DataFrame, spread: np.ndarray, design: Design
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard error in each study with enough donors, studies × features.

    The standard errors rest on the variance of donors that the studies of a group have in common: that of three donors
    is often far too small, and 0 for a gene that none of them expresses, and such a study would speak for all.
    """
    members = _of_full_studies(members, design)
    groups = [table.loc[rows.index].to_numpy() for _, rows in members.groupby(Obs.STUDY, sort=True)]
    common = np.maximum(np.sqrt(_within_variance(table, members)), LEAST_SPREAD * spread + effects.NO_SPREAD)
    return np.array([x.mean(axis=0) for x in groups]), np.array([common / len(x) ** 0.5 for x in groups])


def _within_variance(table: pd.DataFrame, members: pd.DataFrame) -> np.ndarray:
    """Variance of donors around the mean of their study and condition."""
    groups = [table.loc[rows.index].to_numpy() for _, rows in members.groupby([Obs.STUDY, Obs.CONDITION], sort=True)]
    df = sum(len(x) - 1 for x in groups)
    return sum((len(x) - 1) * x.var(axis=0, ddof=1) for x in groups if len(x) > 1) / df


def verdict_of_design(
    donors: pd.DataFrame, contrast: Contrast, design: Design, *, across: bool = True
) -> tuple[str, str]:
    """Why neither `within` nor `nested` applies: the state and a sentence that names the culprit. Without `across`
    there is no `nested` to ask for."""
    n = {group: n_donors(donors, group) for group in contrast.groups}
    studies, platforms = (
        {group: sorted(set(donors.loc[donors[Obs.CONDITION] == group, name])) for group in contrast.groups}
        for name in (Obs.STUDY, PLATFORM)
    )
    if lacking := [group for group in contrast.groups if n[group] == 0]:
        sited = set(lacking) - contrast.without_site and design.primary_site != ANY_SITE
        donor = f"{design.primary_site} donor" if sited else "donor"
        asked = f" ({', '.join(contrast.words())})" if contrast.where else ""
        return NOT_TESTABLE, f"no {donor} of {' or '.join(lacking)} with enough cells and counts{asked}"
    if few := [f"{n[group]} of {group}" for group in contrast.groups if n[group] < design.min_donors]:
        return NOT_TESTABLE, f"too few donors: {', '.join(few)}; {design.min_donors} of each are needed"
    a, b = contrast.groups
    if not shared_platform(donors, contrast):
        return REFUSED, (
            f"{a} was measured on {', '.join(platforms[a])} and {b} on {', '.join(platforms[b])}: "
            "a difference of technology, suspension or species cannot be told from one of condition"
        )
    if set(studies[a]) & set(studies[b]):
        twice = donors.groupby([Obs.STUDY, PLATFORM, Obs.DONOR])[Obs.CONDITION].nunique().max() > 1
        once = f"; a donor of both counts in one alone, as fewer than {design.min_donors} are" if twice else ""
        enough = "with enough cells and counts on one platform"
        return NOT_TESTABLE, f"no study has {design.min_donors} donors of each condition {enough}{once}"
    return CONFOUNDED, (
        f"study and condition coincide: {a} in {', '.join(studies[a])}, {b} in {', '.join(studies[b])}; "
        + (
            f"{design.min_studies} studies of each, or both in one study, are needed"
            if across
            else "both in one study are needed"
        )
    )


def n_donors(donors: pd.DataFrame, condition: str) -> int:
    """Donors of a condition; one measured on two platforms is one."""
    return len(donors.loc[donors[Obs.CONDITION] == condition, [Obs.STUDY, Obs.DONOR]].drop_duplicates())


def shared_platform(donors: pd.DataFrame, contrast: Contrast) -> str:
    """The platform with both groups and most donors, or an empty string."""
    counts = donors.groupby([PLATFORM, Obs.CONDITION]).size().unstack(fill_value=0)
    if not set(contrast.groups) <= set(counts.columns):
        return ""
    least = counts[list(contrast.groups)].min(axis=1)
    return str(least.idxmax()) if least.max() > 0 else ""
