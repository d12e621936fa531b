"""Donors of one condition against a fixed value: for statements about what is found within a donor.

A rank of one axis over another, a correlation between the cells of a tumour, a share of cells: each donor is compared
with itself, so no second condition is needed and no study or platform can be mistaken for one. Donors are the
replicates, studies are pooled as in `compare`.

Ranks, correlations and shares have bounds, near which donors hardly vary: three ranks of .97, .98 and .99 make a huge
t, and yet say no more than three equal signs. So a group has to be large enough for its signs to reach alpha.
"""

from math import ceil, log2

import numpy as np
import pandas as pd

from brainmet.compare import one_per_study, part_of, permutation, pooled
from brainmet.compare.across_studies import n_donors
from brainmet.compare.contrast import ANY_SITE, Contrast
from brainmet.compare.donors import PLATFORM
from brainmet.compare.estimators import NOT_TESTABLE, POOLED, WITHIN, Design, DonorValues
from brainmet.contract import Obs, Uns
from brainmet.stats import effects

ONE_GROUP = "one_group"


def one_group(
    values: DonorValues, donors: pd.DataFrame, contrast: Contrast, *, against: float, design: Design
) -> pd.Series:
    """The pooled row of a condition's donors against a value.

    Args:
        values: gives one value per donor.
        donors: index profile; `study, donor, condition, platform, primary_site, simulated`.
        contrast: of one group.
        against: the value that the statement compares with, in the units of the values.

    Returns:
        Columns as in the pooled rows of `compare.compare`; `effect` is Hedges' g of one sample, `difference` the mean
        less `against`, `opposed` the studies that show the opposite by themselves. Of fewer donors than `enough` wants
        the row holds what was measured, and the reason why nothing is tested.
    """
    values = contrast.per_donor(values, donors)
    of_site, _ = contrast.eligible(donors, site=design.primary_site)
    parts, sizes = [], []
    for (study, platform), members in of_site.groupby([Obs.STUDY, PLATFORM], sort=True):
        table = values.of(members.index).dropna()
        sizes.append(len(table))
        if len(table) >= design.min_donors:
            x = table.to_numpy(float)
            parts.append(part_of(str(study), str(platform), x, np.full_like(x, against), paired=True))
    used = one_per_study(parts)
    if not used:
        return _none(of_site, contrast, sizes, design)
    estimates = [effects.one_sample(part.a - part.b) for part in used]
    row = pooled(pd.Index(["value"]), estimates, design).iloc[0].copy()
    p, least = permutation(used, design=design)
    row["p_perm"], row["p_perm_min"] = p[0], least[0]
    n = [e.n_a for e in estimates]
    row["n_a"], row["n_b"], row["n_donors"] = sum(n), 0, sum(n)
    row["estimator"], row["design"] = WITHIN, ONE_GROUP
    if sum(n) < (wanted := enough(design.alpha)):
        row["estimator"] = NOT_TESTABLE
        row["reason"] = (
            f"{sum(n)} donors of {contrast.a} have a value; {wanted} are needed for their signs to settle it"
        )
    row["studies"] = ";".join(sorted({part.study for part in used}))
    row["platform"] = ";".join(sorted({part.platform for part in used}))
    row["simulated"] = bool(of_site[Uns.SIMULATED].any())
    against_it = [e.p[0] < design.alpha and np.sign(e.g[0]) == -np.sign(row["effect"]) for e in estimates]
    row["opposed"] = ", ".join(part.study for part, opposed in zip(used, against_it, strict=True) if opposed)
    return row


def enough(alpha: float) -> int:
    """Donors whose signs can reach alpha: two of the 2^n flips, all up and all down, are the most extreme."""
    return ceil(1 - log2(alpha))


def _none(members: pd.DataFrame, contrast: Contrast, sizes: list[int], design: Design) -> pd.Series:
    """The row that says what is missing."""
    sited = design.primary_site != ANY_SITE and contrast.a not in contrast.without_site
    donors = f"{design.primary_site} donors" if sited else "donors"
    reason = (
        f"no study has {design.min_donors} {donors} of {contrast.a} with a value; "
        f"most in one study: {max(sizes, default=0)}"
    )
    return pd.Series(
        {
            "study": POOLED,
            "studies": ";".join(sorted(set(members[Obs.STUDY]))),
            "estimator": NOT_TESTABLE,
            "effect": np.nan,
            "n_a": n_donors(members, contrast.a),
            "n_b": 0,
            "n_donors": n_donors(members, contrast.a),
            "n_studies": members[Obs.STUDY].nunique(),
            "design": ONE_GROUP,
            "simulated": bool(members[Uns.SIMULATED].any()),
            "platform": ";".join(sorted(set(members[PLATFORM]))),
            "reason": reason,
        }
    )
