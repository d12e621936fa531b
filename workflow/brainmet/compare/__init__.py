"""Contrasts of donor values between conditions: what differs, by how much, and what the design lets us say.

Three estimators, named in every row. `within`: both groups in one study and on one platform, studies pooled. `nested`:
groups in different studies of one platform, the study is the unit, at least three per group. `transfer`: as `within`,
for another primary tumour; never pooled with breast. Where none applies the row says why: `confounded` (the groups are
studies as much as conditions: shown, never judged), `refused` (other technology or suspension), `not_testable` (a group
is missing).

The values may be signature scores, genes, or log-ratios of cell types; donors are the replicates of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from brainmet.compare.across_studies import n_donors, nested, shared_platform, verdict_of_design
from brainmet.compare.contrast import Contrast
from brainmet.compare.donors import PLATFORM
from brainmet.compare.estimators import (
    CONFOUNDED,
    NESTED,
    POOLED,
    TRANSFER,
    UNPAIRED,
    WITHIN,
    Design,
    DonorValues,
    pairing,
)
from brainmet.contract import Obs, Uns
from brainmet.stats import effects
from brainmet.stats.effects import Estimate
from brainmet.stats.power import detectable_in, detectable_over


def compare(values: DonorValues, donors: pd.DataFrame, contrast: Contrast, *, design: Design) -> pd.DataFrame:
    """All rows of one contrast in one compartment.

    Args:
        values: what the donors are compared by.
        donors: index profile; `study, donor, condition, platform, primary_site, organism, simulated`, and the columns
            that the contrast names.
        contrast: the groups; effects are a minus b.

    Returns:
        Rows by feature, estimator and study; `study` is `pooled` in the row that decides. Columns as in `contrasts.tsv`
        without those of the signature.
    """
    values = contrast.per_donor(values, donors)
    of_site, of_others = contrast.eligible(donors, site=design.primary_site)
    blocks = _by_study(values, of_site, contrast, WITHIN, design)
    blocks += nested(values, of_site, contrast, design)
    free = of_others[Obs.CONDITION].isin(contrast.without_site)
    for site in sorted(set(of_others.loc[~free, "primary_site"])):
        theirs = of_others[free | (of_others["primary_site"] == site)]
        blocks += [block.assign(primary_site=site) for block in _by_study(values, theirs, contrast, TRANSFER, design)]
    if not any(block["estimator"].iloc[0] in (WITHIN, NESTED) for block in blocks if len(block)):
        blocks.append(_no_verdict(values, of_site, contrast, design))
    frame = pd.concat(blocks, ignore_index=True)
    frame["contrast"] = contrast.id
    frame["primary_site"] = (
        frame["primary_site"].fillna(design.primary_site) if "primary_site" in frame else design.primary_site
    )
    return frame


@dataclass(frozen=True)
class Part:
    """One study's donors of both groups: values, donors × features; in a paired part row i of both is one donor.
    Rows are sorted by their values: the labels that are drawn depend on no name."""

    study: str
    platform: str
    a: np.ndarray
    b: np.ndarray
    paired: bool

    def estimate(self) -> Estimate:
        """The study's effect."""
        return effects.pairs(self.a, self.b) if self.paired else effects.two_groups(self.a, self.b)


def parts_of(values: DonorValues, donors: pd.DataFrame, contrast: Contrast, *, design: Design) -> list[Part]:
    """Studies that hold at least `min_donors` of both groups on one platform, each on the one with most donors.

    Args:
        donors: as `Contrast.eligible` returns them.
    """
    parts = []
    for (study, platform), members in donors.groupby([Obs.STUDY, PLATFORM], sort=True):
        if min(map(len, contrast.sides(members, min_donors=design.min_donors))) < design.min_donors:
            continue
        table = values.of(members.index)
        a, b = contrast.sides(members.loc[table.index], min_donors=design.min_donors)
        if min(len(a), len(b)) < design.min_donors:
            continue
        if len(a) + len(b) < len(table):  # the smallest donor may be one that is not compared
            table = values.of(a.append(b))
        paired = list(members.loc[a, Obs.DONOR]) == list(members.loc[b, Obs.DONOR])
        parts.append(part_of(study, platform, table.loc[a].to_numpy(), table.loc[b].to_numpy(), paired=paired))
    return one_per_study(parts)


def part_of(study: str, platform: str, a: np.ndarray, b: np.ndarray, *, paired: bool) -> Part:
    """One study's donors, sorted by their values; pairs stay together."""
    if paired:
        order = by_values(a + b)
        return Part(study, platform, a[order], b[order], paired)
    return Part(study, platform, a[by_values(a)], b[by_values(b)], paired)


def by_values(x: np.ndarray) -> np.ndarray:
    """Order of rows by their values, the first column first."""
    return np.lexsort(x.T[::-1])


def one_per_study(parts: Sequence[Part]) -> list[Part]:
    """The largest part of each study: a donor measured on two platforms counts once, and so does the study."""
    by_study: dict[str, list[Part]] = {}
    for part in parts:
        by_study.setdefault(part.study, []).append(part)
    return [max(of_study, key=lambda part: len(part.a) + len(part.b)) for of_study in by_study.values()]


def pooled_p(parts: Sequence[Part], *, min_studies: int) -> np.ndarray:
    """p of the pooled effect alone, one per feature; equal to that of the pooled rows."""
    estimates = [part.estimate() for part in parts]
    fixed = effects.stratified(estimates)[-1]
    if len(estimates) < min_studies:
        return fixed
    random = effects.random_effects(np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates]))
    return np.where(random.k >= min_studies, random.p, fixed)


def _by_study(
    values: DonorValues, donors: pd.DataFrame, contrast: Contrast, estimator: str, design: Design
) -> list[pd.DataFrame]:
    """Rows of every study that holds both groups on one platform, and the pooled row."""
    parts = parts_of(values, donors, contrast, design=design)
    if not parts:
        return []
    simulated = bool(donors[Uns.SIMULATED].any())
    blocks = []
    for part in parts:
        p, least = permutation([part], design=design)
        row = _study_row(values.features, part.estimate(), part.study, part.platform, design)
        blocks.append(pd.DataFrame(row).assign(p_perm=p, p_perm_min=least, design=pairing([part.paired])))
    p, least = permutation(parts, design=design)
    estimates = [part.estimate() for part in parts]
    all_studies = pooled(values.features, estimates, design).assign(p_perm=p, p_perm_min=least)
    used = np.isfinite([e.g for e in estimates])
    all_studies["studies"] = _named([part.study for part in parts], used)
    all_studies["platform"] = _named([part.platform for part in parts], used)
    all_studies["design"] = pairing(part.paired for part in parts)
    return [block.assign(estimator=estimator, simulated=simulated) for block in [*blocks, all_studies]]


def _named(names: Sequence[str], used: np.ndarray) -> np.ndarray:
    """Names of the parts that have a feature (parts × features), joined by `;`; of all where none has it."""
    patterns, which = np.unique(used | ~used.any(axis=0), axis=1, return_inverse=True)
    return np.array([";".join(sorted(set(compress(names, pattern)))) for pattern in patterns.T], object)[which.ravel()]


def _study_row(features: pd.Index, e: Estimate, study: str, platform: str, design: Design) -> dict[str, Any]:
    low, high = e.interval()
    d_low, d_high = e.difference_interval()
    return {
        "feature": features,
        "study": study,
        "studies": study,
        "effect": e.g,
        "ci_low": low,
        "ci_high": high,
        "se": e.g_se,
        "difference": e.difference,
        "difference_low": d_low,
        "difference_high": d_high,
        "n_a": e.n_a,
        "n_b": e.n_b,
        "n_donors": e.n,
        "n_studies": 1,
        "p": e.p,
        "model": "one_study",
        "platform": platform,
        "reason": np.where(np.isfinite(e.g), "", "not scorable, or without variation"),
        "mde": detectable_in([e], power=design.power, alpha=design.alpha),
    }


def pooled(features: pd.Index, estimates: list[Estimate], design: Design) -> pd.DataFrame:
    """The pooled row: random effects from three studies on, the common effect of the studies at hand below that."""
    g, se = np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates])
    fixed, difference, d_low, d_high = effects.fixed_studies(estimates)
    random = effects.random_effects(g, se)
    many = random.k >= design.min_studies
    low, high = effects.leave_one_out(g, se)
    used = np.isfinite(g)
    n_a, n_b, n = (
        (used * np.array([getattr(e, side) for e in estimates])[:, None]).sum(axis=0) for side in ("n_a", "n_b", "n")
    )
    return pd.DataFrame(
        {
            "feature": features,
            "study": POOLED,
            "effect": np.where(many, random.effect, fixed.effect),
            "se": np.where(many, random.se, fixed.se),
            "ci_low": np.where(many, random.ci_low, fixed.ci_low),
            "ci_high": np.where(many, random.ci_high, fixed.ci_high),
            "p": np.where(many, random.p, fixed.p),
            "difference": difference,
            "difference_low": d_low,
            "difference_high": d_high,
            "n_a": n_a,
            "n_b": n_b,
            "n_donors": n,
            "n_studies": random.k,
            "model": np.where(many, "random_effects", np.where(random.k == 1, "one_study", "fixed_studies")),
            "tau2": np.where(random.k > 1, random.tau2, np.nan),
            "hk_low": random.ci_low,
            "hk_high": random.ci_high,
            "prediction_low": random.prediction_low,
            "prediction_high": random.prediction_high,
            "loo_low": low,
            "loo_high": high,
            "i2": np.where(many, _i2(g, se), np.nan),
            "mde": np.where(
                many,
                detectable_over(estimates, random.tau2, power=design.power, alpha=design.alpha),
                detectable_in(estimates, power=design.power, alpha=design.alpha),
            ),
            "reason": np.where(random.k > 0, "", "not scorable, or without variation, in every study"),
        }
    )


def _i2(g: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Share of the variation between studies that is not sampling, from Cochran's Q."""
    weight = np.where(np.isfinite(g), 1 / se**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weight * np.nan_to_num(g)).sum(axis=0) / weight.sum(axis=0)
        q = np.nansum(weight * (g - mean) ** 2, axis=0)
        return np.maximum(0.0, 1 - (np.isfinite(g).sum(axis=0) - 1) / q)


def permutation(parts: Sequence[Part], *, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Permutation p of the stratified difference, labels exchanged within studies (signs, where donors are paired),
    and the smallest p these labels can give. Features missing in some studies are tested in the others."""
    missing = np.array(
        [np.isnan(a).any(axis=0) | np.isnan(b).any(axis=0) for a, b in ((part.a, part.b) for part in parts)]
    )
    p, least = np.full(missing.shape[1], np.nan), np.full(missing.shape[1], np.nan)
    for pattern in np.unique(missing.T, axis=0):
        columns = np.flatnonzero((pattern == missing.T).all(axis=1))
        used = [part for part, gone in zip(parts, pattern, strict=True) if not gone]
        if not used:
            continue
        if all(part.paired for part in used):
            change = np.vstack([part.a[:, columns] - part.b[:, columns] for part in used])
            flips, every = effects.signs(len(change), limit=design.permutations, seed=design.seed)
            statistics = flips @ change
        else:
            x, is_a, strata = _labelled(used, columns)
            labels, every = effects.labelings(strata, is_a, limit=design.permutations, seed=design.seed)
            statistics = effects.group_weights(strata, labels) @ x
        p[columns], least[columns] = effects.permutation_p(statistics, every=every)
    return p, least


def _labelled(parts: Sequence[Part], columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of all donors, whether each is of group a, and the stratum within which labels are exchanged: its study,
    and in a paired part the donor itself."""
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    n_strata = 0
    for part in parts:
        n_a, n_b = len(part.a), len(part.b)
        stratum = np.tile(np.arange(n_a), 2) if part.paired else np.zeros(n_a + n_b, int)
        x = np.vstack([part.a, part.b])
        order = by_values(x)  # whichever group is called a, but for donors of equal values
        blocks.append(
            (x[np.ix_(order, columns)], np.repeat([True, False], [n_a, n_b])[order], n_strata + stratum[order])
        )
        n_strata += int(stratum.max()) + 1
    x, is_a, strata = (np.concatenate(block) for block in zip(*blocks, strict=True))
    return x, is_a, strata


def _no_verdict(values: DonorValues, donors: pd.DataFrame, contrast: Contrast, design: Design) -> pd.DataFrame:
    """One row per feature that says why the contrast cannot be judged; a confounded difference is shown in it."""
    state, reason = verdict_of_design(donors, contrast, design)
    if state == CONFOUNDED:
        platform = shared_platform(donors, contrast)
        members = donors[donors[PLATFORM] == platform]
        table = values.of(members.index)
        members = members.loc[table.index]
        # Donors of one name in two studies are two people.
        people = members.assign(**{Obs.DONOR: members[Obs.STUDY] + "|" + members[Obs.DONOR]})
        a, b = contrast.sides(people, min_donors=design.min_donors)
        if min(len(a), len(b)) >= 2:
            estimate = effects.two_groups(table.loc[a].to_numpy(), table.loc[b].to_numpy())
            row = _study_row(table.columns, estimate, POOLED, platform, design)
            row |= {"studies": ";".join(sorted(set(members[Obs.STUDY]))), "n_studies": members[Obs.STUDY].nunique()}
            row |= {
                "reason": reason,
                "model": "two_groups",
                "mde": np.nan,
                "simulated": bool(members[Uns.SIMULATED].any()),
            }
            return pd.DataFrame(row).assign(estimator=state, design=UNPAIRED)
    n_a, n_b = (n_donors(donors, group) for group in contrast.groups)
    return pd.DataFrame(
        {
            "feature": values.features,
            "study": POOLED,
            "studies": ";".join(sorted(set(donors[Obs.STUDY]))),
            "estimator": state,
            "effect": np.nan,
            "n_a": n_a,
            "n_b": n_b,
            "n_donors": len(donors[[Obs.STUDY, Obs.DONOR]].drop_duplicates()),
            "n_studies": donors[Obs.STUDY].nunique(),
            "design": "",
            "model": "none",
            "simulated": bool(donors[Uns.SIMULATED].any()),
            "reason": reason,
            "platform": ";".join(sorted(set(donors[PLATFORM]))),
        }
    )
