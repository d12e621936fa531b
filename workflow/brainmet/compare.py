"""Contrasts of donor values between conditions: what differs, by how much, and what the design lets us say.

Three estimators, named in every row. `within`: both arms in one study and on one platform, studies pooled. `nested`:
arms in different studies of one platform, the study is the unit, at least three an arm. `transfer`: as `within`, for
another primary tumour; never pooled with breast. Where none applies the row says why: `confounded` (the arms are
studies as much as conditions: shown, never judged), `refused` (other technology or suspension), `not_testable` (an arm
is missing).

The values may be signature scores, genes, or log-ratios of cell types; donors are the replicates of all of them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from brainmet import effects
from brainmet.contract import UNKNOWN, Obs, Uns
from brainmet.donors import PLATFORM
from brainmet.effects import Estimate

log = logging.getLogger(__name__)

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


def contrast(values: Values, donors: pd.DataFrame, arms: Mapping[str, str], *, design: Design) -> pd.DataFrame:
    """All rows of one contrast in one compartment.

    Args:
        values: gives the features' values for a set of donors.
        donors: index profile; `study, donor, condition, platform, primary_site, simulated`.
        arms: `id`, and the conditions `a` and `b`: effects are a minus b.

    Returns:
        Rows by feature, estimator and study; `study` is `pooled` in the row that decides. Columns as in `contrasts.tsv`
        without those of the signature.
    """
    own, other = eligible(donors, arms, site=design.primary_site)
    blocks = _by_study(values, own, arms, WITHIN, design)
    blocks += _nested(values, own, arms, design)
    for site in sorted(set(other.loc[other[Obs.CONDITION] == arms["a"], "primary_site"])):
        theirs = other[(other["primary_site"] == site) | other[Obs.CONDITION].isin(NO_SITE)]
        blocks += [block.assign(primary_site=site) for block in _by_study(values, theirs, arms, TRANSFER, design)]
    if not any(block["estimator"].iloc[0] in (WITHIN, NESTED) for block in blocks if len(block)):
        blocks.append(_no_verdict(values, own, arms, design))
    frame = pd.concat(blocks, ignore_index=True)
    frame["contrast"] = arms["id"]
    frame["primary_site"] = (
        frame["primary_site"].fillna(design.primary_site) if "primary_site" in frame else design.primary_site
    )
    return frame


def eligible(donors: pd.DataFrame, arms: Mapping[str, str], *, site: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Donors of the two conditions with the primary tumour asked about, and those with another known one.

    Tissue without a tumour belongs to both. Donors whose primary is unknown are in neither: a metastasis is compared
    with its own primary tumour only. The site `*` takes all donors.
    """
    both = donors[donors[Obs.CONDITION].isin([arms["a"], arms["b"]])]
    free = both[Obs.CONDITION].isin(NO_SITE)
    if site == ANY_SITE:
        return both, both[:0]
    return both[free | (both["primary_site"] == site)], both[free | ~both["primary_site"].isin([site, UNKNOWN])]


@dataclass(frozen=True)
class Part:
    """One study's donors of both arms: values, donors × features; in a paired part row i of both arms is one donor."""

    study: str
    platform: str
    a: np.ndarray
    b: np.ndarray
    paired: bool

    def estimate(self) -> Estimate:
        """The study's effect."""
        return effects.pairs(self.a, self.b) if self.paired else effects.two_arms(self.a, self.b)


def parts_of(values: Values, donors: pd.DataFrame, arms: Mapping[str, str], *, design: Design) -> list[Part]:
    """Studies that hold at least `min_donors` of both arms on one platform."""
    parts = []
    for (study, platform), members in donors.groupby([Obs.STUDY, PLATFORM], sort=True):
        if min(len(side) for side in _arms(members, arms, design)) < design.min_donors:
            continue
        table = values(members.index)
        a, b = _arms(members.loc[table.index], arms, design)
        if min(len(a), len(b)) < design.min_donors:
            continue
        paired = list(members.loc[a, Obs.DONOR]) == list(members.loc[b, Obs.DONOR])
        parts.append(Part(study, platform, table.loc[a].to_numpy(), table.loc[b].to_numpy(), paired))
    return parts


def pooled_p(parts: Sequence[Part], *, min_studies: int) -> np.ndarray:
    """p of the pooled effect alone, one a feature; equal to that of the pooled rows."""
    estimates = [part.estimate() for part in parts]
    fixed = effects.fixed_studies(estimates)[0]
    if len(estimates) < min_studies:
        return fixed.p
    random = effects.random_effects(np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates]))
    return np.where(random.k >= min_studies, random.p, fixed.p)


def _by_study(
    values: Values, donors: pd.DataFrame, arms: Mapping[str, str], estimator: str, design: Design
) -> list[pd.DataFrame]:
    """Rows of every study that holds both arms on one platform, and the pooled row."""
    parts = parts_of(values, donors, arms, design=design)
    if not parts:
        return []
    features = values(donors.index[:0]).columns
    simulated = bool(donors[Uns.SIMULATED].any())
    blocks = []
    for part in parts:
        p, least = permutation([part], design=design)
        row = _study_row(features, part.estimate(), part.study, part.platform, design)
        blocks.append(pd.DataFrame(row).assign(p_perm=p, p_perm_min=least, design=_design_word([part])))
    p, least = permutation(parts, design=design)
    all_studies = pooled(features, [part.estimate() for part in parts], design).assign(p_perm=p, p_perm_min=least)
    all_studies["studies"] = ";".join(sorted({part.study for part in parts}))
    all_studies["platform"] = ";".join(sorted({part.platform for part in parts}))
    all_studies["design"] = _design_word(parts)
    return [block.assign(estimator=estimator, simulated=simulated) for block in [*blocks, all_studies]]


def _arms(members: pd.DataFrame, arms: Mapping[str, str], design: Design) -> tuple[pd.Index, pd.Index]:
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


def _design_word(parts: Sequence[Part]) -> str:
    paired = [part.paired for part in parts]
    return "paired" if all(paired) else "mixed" if any(paired) else "unpaired"


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
        "n_studies": 1,
        "p": e.p,
        "model": "one_study",
        "platform": platform,
        "reason": "",
        "mde": effects.detectable(((e.n_a, e.n_b),), power=design.power, alpha=design.alpha),
    }


def pooled(features: pd.Index, estimates: list[Estimate], design: Design) -> pd.DataFrame:
    """The pooled row: random effects from three studies on, the common effect of the studies at hand below that."""
    g, se = np.array([e.g for e in estimates]), np.array([e.g_se for e in estimates])
    fixed, difference, d_low, d_high = effects.fixed_studies(estimates)
    random = effects.random_effects(g, se)
    many = random.k >= design.min_studies
    low, high = effects.leave_one_out(g, se)
    used = np.isfinite(g)
    n_a, n_b = (used * np.array([getattr(e, side) for e in estimates])[:, None] for side in ("n_a", "n_b"))
    sizes = [tuple((int(a), int(b)) for a, b in zip(x, y, strict=True) if a) for x, y in zip(n_a.T, n_b.T, strict=True)]
    mde = [effects.detectable(size, power=design.power, alpha=design.alpha) for size in sizes]
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
            "n_a": n_a.sum(axis=0),
            "n_b": n_b.sum(axis=0),
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
            "mde": mde,
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
            x = np.vstack([np.vstack([part.a[:, columns], part.b[:, columns]]) for part in used])
            arm = np.concatenate([np.repeat([True, False], [len(part.a), len(part.b)]) for part in used])
            strata = np.repeat(np.arange(len(used)), [len(part.a) + len(part.b) for part in used])
            labels, every = effects.labelings(strata, arm, limit=design.permutations, seed=design.seed)
            statistics = effects.arm_weights(strata, labels) @ x
        p[columns], least[columns] = effects.permutation_p(statistics, every=every)
    return p, least


def _nested(values: Values, donors: pd.DataFrame, arms: Mapping[str, str], design: Design) -> list[pd.DataFrame]:
    """Studies that hold one arm only, at least `min_studies` an arm on one platform: the study is the unit."""
    blocks = []
    for platform, members in donors.groupby(PLATFORM, sort=True):
        alone = members.groupby(Obs.STUDY)[Obs.CONDITION].transform("nunique") == 1
        if not _enough_studies(members[alone], arms, design):
            continue
        table = values(members.index[alone])
        used = members.loc[table.index]
        if not _enough_studies(used, arms, design):
            continue
        difference, se, p, df, spread = study_is_unit(table, used, arms, design)
        from scipy import stats

        half = stats.t.isf(0.025, df) * se
        n_a, n_b = ((used[Obs.CONDITION] == arms[side]).sum() for side in "ab")
        blocks.append(
            pd.DataFrame(
                {
                    "feature": table.columns,
                    "study": POOLED,
                    "estimator": NESTED,
                    "model": "study_is_unit",
                    "platform": platform,
                    "studies": ";".join(sorted(set(used[Obs.STUDY]))),
                    "n_studies": used[Obs.STUDY].nunique(),
                    "design": "unpaired",
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
                    "mde": effects.detectable(
                        (_n_studies(used, arms, design),), power=design.power, alpha=design.alpha
                    ),
                    "simulated": bool(used[Uns.SIMULATED].any()),
                    "reason": "",
                }
            )
        )
    return blocks


def study_is_unit(
    table: pd.DataFrame, members: pd.DataFrame, arms: Mapping[str, str], design: Design
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]:
    """Difference of two arms in different studies, its standard error, p and degrees of freedom, and the standard
    deviation of donors around their study."""
    a, b = (_study_means(table, members[members[Obs.CONDITION] == arms[side]], design) for side in "ab")
    return *effects.nested(a, b), np.sqrt(_within_variance(table, members))


def _n_studies(members: pd.DataFrame, arms: Mapping[str, str], design: Design) -> tuple[int, int]:
    """Studies with enough donors, by arm."""
    sizes = members.groupby([Obs.CONDITION, Obs.STUDY]).size()
    counts = sizes[sizes >= design.min_donors].groupby(level=0).size()
    return int(counts.get(arms["a"], 0)), int(counts.get(arms["b"], 0))


def _enough_studies(members: pd.DataFrame, arms: Mapping[str, str], design: Design) -> bool:
    return min(_n_studies(members, arms, design)) >= design.min_studies


def _study_means(table: pd.DataFrame, members: pd.DataFrame, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard error in each study with enough donors, studies × features."""
    groups = [
        table.loc[rows.index].to_numpy()
        for _, rows in members.groupby(Obs.STUDY, sort=True)
        if len(rows) >= design.min_donors
    ]
    return np.array([x.mean(axis=0) for x in groups]), np.array([x.std(axis=0, ddof=1) / len(x) ** 0.5 for x in groups])


def _within_variance(table: pd.DataFrame, members: pd.DataFrame) -> np.ndarray:
    """Variance of donors around the mean of their study and condition."""
    groups = [table.loc[rows.index].to_numpy() for _, rows in members.groupby([Obs.STUDY, Obs.CONDITION], sort=True)]
    df = sum(len(x) - 1 for x in groups)
    return sum((len(x) - 1) * x.var(axis=0, ddof=1) for x in groups if len(x) > 1) / df


def _no_verdict(values: Values, donors: pd.DataFrame, arms: Mapping[str, str], design: Design) -> pd.DataFrame:
    """One row a feature that says why the contrast cannot be judged; a confounded difference is shown all the same."""
    state, reason = verdict_of_design(donors, arms, design)
    if state == CONFOUNDED:
        platform = _shared_platform(donors, arms)
        members = donors[donors[PLATFORM] == platform]
        table = values(members.index)
        members = members.loc[table.index]
        a, b = _arms(members, arms, design)
        if min(len(a), len(b)) >= 2:
            estimate = effects.two_arms(table.loc[a].to_numpy(), table.loc[b].to_numpy())
            row = _study_row(table.columns, estimate, POOLED, platform, design)
            row |= {"studies": ";".join(sorted(set(members[Obs.STUDY]))), "n_studies": members[Obs.STUDY].nunique()}
            row |= {
                "reason": reason,
                "model": "two_arms",
                "mde": np.nan,
                "simulated": bool(members[Uns.SIMULATED].any()),
            }
            return pd.DataFrame(row).assign(estimator=state, design="unpaired")
    features = values(donors.index[:0]).columns
    n_a, n_b = ((donors[Obs.CONDITION] == arms[side]).sum() for side in "ab")
    return pd.DataFrame(
        {
            "feature": features,
            "study": POOLED,
            "studies": ";".join(sorted(set(donors[Obs.STUDY]))),
            "estimator": state,
            "effect": np.nan,
            "n_a": n_a,
            "n_b": n_b,
            "n_studies": donors[Obs.STUDY].nunique(),
            "design": "",
            "model": "none",
            "simulated": bool(donors[Uns.SIMULATED].any()),
            "reason": reason,
            "platform": ";".join(sorted(set(donors[PLATFORM]))),
        }
    )


def verdict_of_design(donors: pd.DataFrame, arms: Mapping[str, str], design: Design) -> tuple[str, str]:
    """Why neither `within` nor `nested` applies: the state and a sentence that names the culprit."""
    n = {side: int((donors[Obs.CONDITION] == arms[side]).sum()) for side in "ab"}
    where = {side: sorted(set(donors.loc[donors[Obs.CONDITION] == arms[side], Obs.STUDY])) for side in "ab"}
    if lacking := [arms[side] for side in "ab" if n[side] == 0]:
        site = "" if design.primary_site == ANY_SITE else f"{design.primary_site} "
        return NOT_TESTABLE, f"no {site}donor of {' or '.join(lacking)} with enough cells and counts"
    if few := [f"{n[side]} of {arms[side]}" for side in "ab" if n[side] < design.min_donors]:
        return NOT_TESTABLE, f"too few donors: {', '.join(few)}; {design.min_donors} an arm are needed"
    if not _shared_platform(donors, arms):
        platforms = {side: sorted(set(donors.loc[donors[Obs.CONDITION] == arms[side], PLATFORM])) for side in "ab"}
        return REFUSED, (
            f"{arms['a']} was measured on {', '.join(platforms['a'])} and {arms['b']} on {', '.join(platforms['b'])}: "
            "a difference of technology or suspension cannot be told from one of condition"
        )
    if set(where["a"]) & set(where["b"]):
        return NOT_TESTABLE, f"no study has {design.min_donors} donors of both conditions on one platform"
    return CONFOUNDED, (
        f"study and condition coincide: {arms['a']} in {', '.join(where['a'])}, "
        f"{arms['b']} in {', '.join(where['b'])}; "
        f"{design.min_studies} studies an arm, or both arms in one study, are needed"
    )


def _shared_platform(donors: pd.DataFrame, arms: Mapping[str, str]) -> str:
    """The platform with both arms and most donors, or an empty string."""
    counts = donors.groupby([PLATFORM, Obs.CONDITION]).size().unstack(fill_value=0)
    if not {arms["a"], arms["b"]} <= set(counts.columns):
        return ""
    least = counts[[arms["a"], arms["b"]]].min(axis=1)
    return str(least.idxmax()) if least.max() > 0 else ""
