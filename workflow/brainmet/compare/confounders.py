"""What else could make a finding: each finding of the contrasts against dissociation, cell cycle, ambient RNA, depth,
subtype and composition.

A confounder explains a finding when it goes with the signature among donors of one study and condition (the slope
there is not chance), and when what that slope makes of the confounder's difference between the groups is at least half
of the finding. The slope is taken inside the groups, so a confounder that merely differs between them explains nothing.
Each finding is held against a dozen confounders: their p values are adjusted over them (Benjamini–Hochberg), or one
finding in five would be marked by chance.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare.coincidence import RECEPTORS, coinciding
from brainmet.compare.contrast import Contrast
from brainmet.compare.contrasts import AMBIENT, Scorer
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import PLATFORM, Profiles
from brainmet.compare.estimators import POOLED, WITHIN, Design
from brainmet.contract import Compartment, Obs
from brainmet.stats import effects, student

log = logging.getLogger(__name__)

CELL_CYCLE = ("cell_cycle_s", "cell_cycle_g2m")
SAME = 5
"""Genes of the cell cycle that a signature shares with it from which on it is the cell cycle, not confounded by it."""
MIN_KNOWN = 5
"""Donors of known value without which no slope is taken."""
PART = 0.5
"""Part of a finding that a confounder must account for."""
TAKEN = 1 / 3
"""Part of a finding's difference that must go with ambient RNA; less than `PART`, as only what is surely ambient is
taken off."""


def explained_by(
    table: pd.DataFrame,
    profiles_of: Mapping[str, Profiles],
    sets: Sequence[GeneSet],
    confounders: Sequence[GeneSet],
    contrasts: Sequence[Contrast],
    *,
    design: Design,
    scoring: Scoring,
    composition: Callable[[str, pd.Index], pd.Series | None] = lambda name, index: None,
) -> pd.Series:
    """Names of what explains each row, joined by `;`: for findings of the estimator `within` in cells. `ambient_rna`
    where it does not hold on profiles less ambient RNA and a third of its difference or more is gone there; and what
    changes with the condition in every study (`coincidence`).

    Args:
        table: rows of `contrasts.tsv`.
        profiles_of: donor profiles by compartment.
        sets: signatures.
        confounders: confounder sets.
        contrasts: those of the table.
        composition: gives, for a pooled compartment, the share of its leading type by donor.
    """
    out = pd.Series("", table.index, dtype=object)
    # The whole sample mixes composition and expression: there is nothing to explain that composition does not.
    found = table[(table["study"] == POOLED) & (table["estimator"] == WITHIN) & (table["fdr"] < design.alpha)]
    found = found[found["cell_type"] != Compartment.ANY]
    parts = table[(table["study"] != POOLED) & (table["estimator"] == WITHIN)].groupby(["cell_type", "contrast"])
    by_id = {s.id: s for s in sets}
    contrast_of = {contrast.id: contrast for contrast in contrasts}
    for (cell_type, id_), rows in found.groupby(["cell_type", "contrast"], sort=True):
        profiles, contrast = profiles_of[str(cell_type)], contrast_of[str(id_)]
        donors, _ = contrast.eligible(profiles.donors, site=design.primary_site)
        wanted = {
            s.id: s for name in rows["signature"] for s in (by_id[name], *_unshared(by_id[name], confounders).values())
        }
        places = parts.get_group((cell_type, id_))[[Obs.STUDY, PLATFORM]].drop_duplicates()
        scores = _scores(Scorer(profiles, list(wanted.values()), scoring=scoring), donors, places)
        donors = donors.loc[scores.index]
        shared = _of_donors(donors) | {"composition": composition(str(cell_type), scores.index)}
        few = [name for name, values in shared.items() if values is None or values.notna().sum() < MIN_KNOWN]
        log.info("%s, %s: not tried, known of too few donors: %s", cell_type, id_, ", ".join(few) or "none")
        same = {
            place: coinciding(donors, contrast, of_place.iloc[0], design=design)
            for place, of_place in rows.groupby(["studies", PLATFORM])
        }
        for index, row in rows.iterrows():
            name = row["signature"]
            tried = {c: scores[s.id] for c, s in _unshared(by_id[name], confounders).items()} | shared
            known = {c: values for c, values in tried.items() if values is not None}
            named = _explaining(scores[name], known, donors, contrast, alpha=design.alpha)
            lost = [AMBIENT] if _lost(row, design.alpha) else []
            out[index] = ";".join([*lost, *same[row["studies"], row[PLATFORM]], *named])
    return out


def _lost(row: pd.Series, alpha: float) -> bool:
    """Whether a finding is lost or turned around on profiles less ambient RNA because its difference goes with it.

    Counts taken off leave noise behind: a finding that keeps its size and loses its p is not explained.
    """
    taken = 1 - float(row["difference_clean"]) / float(row["difference"])
    turned = np.sign(row["effect_clean"]) != np.sign(row["effect"])
    return bool(np.isfinite(row["fdr_clean"]) and taken >= TAKEN and (row["fdr_clean"] >= alpha or turned))


def _unshared(signature: GeneSet, confounders: Sequence[GeneSet]) -> dict[str, GeneSet]:
    """By confounder, its set without the signature's genes; those of the cell cycle are left out where the signature is
    of the cell cycle itself."""
    genes = {*signature.up, *signature.down}
    kept = {}
    for s in confounders:
        shared = genes & {*s.up, *s.down}
        if s.id in CELL_CYCLE and len(shared) >= SAME:
            continue
        up, down = (tuple(g for g in side if g not in shared) for side in (s.up, s.down))
        kept[s.id] = GeneSet(f"{s.id} less {signature.id}", up, down) if shared else s
    return kept


def _scores(scorer: Scorer, donors: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Scores of the donors of the studies that the findings rest on, on the platform that they rest on, each study by
    itself."""
    by_place = donors.groupby([Obs.STUDY, PLATFORM], sort=True).groups
    return pd.concat([scorer.scores(by_place[place]) for place in sorted(places.itertuples(index=False, name=None))])


def _of_donors(donors: pd.DataFrame) -> dict[str, pd.Series | None]:
    """Depth and receptors by donor; NaN where a donor's receptor is not known, or differs between its samples."""
    depth = np.log2(donors[Obs.TOTAL_COUNTS].astype(float) / donors[Obs.N_CELLS].astype(float))
    receptors = {name: donors[name].map(words).map({"pos": 1.0, "neg": 0.0}) for name, words in RECEPTORS.items()}
    return {"depth": depth} | receptors


def _explaining(
    signature: pd.Series,
    confounders: Mapping[str, pd.Series],
    donors: pd.DataFrame,
    contrast: Contrast,
    *,
    alpha: float,
) -> list[str]:
    """The confounders that go with a signature inside the groups and account for at least `PART` of its difference."""
    stratum = np.unique((donors[Obs.STUDY] + "|" + donors[PLATFORM]).to_numpy(str), return_inverse=True)[1]
    is_a = (donors[Obs.CONDITION] == contrast.a).to_numpy()
    y = signature.to_numpy(float)
    found = {name: _part(y, values.to_numpy(float), stratum, is_a) for name, values in confounders.items()}
    real = effects.fdr(np.array([p for _, p in found.values()])) < alpha
    return [name for (name, (part, _)), is_real in zip(found.items(), real, strict=True) if is_real and part >= PART]


def _part(y: np.ndarray, x: np.ndarray, stratum: np.ndarray, is_a: np.ndarray) -> tuple[float, float]:
    """Part of a signature's difference that a confounder accounts for by its slope inside groups, and the slope's p.

    Args:
        y, x: signature and confounder, one value per donor; NaN where not known.
        stratum: code of each donor's study and platform; those that lack a group are left out.
        is_a: whether the donor is of the first group.
    """
    known = np.isfinite(y) & np.isfinite(x)
    of_a, of_b = (np.bincount(stratum[known & side], minlength=len(stratum)) for side in (is_a, ~is_a))
    rows = np.flatnonzero(known & ((of_a > 0) & (of_b > 0))[stratum])
    y, x, stratum, is_a = y[rows], x[rows], stratum[rows], is_a[rows]
    if len(y) < MIN_KNOWN:
        return 0.0, np.nan
    slope, p = inner_slope(x, y, np.unique(2 * stratum + is_a, return_inverse=True)[1])
    weights = effects.group_weights(stratum, is_a[None])[0]
    total, made = float(weights @ y), slope * float(weights @ x)
    return made / total if total else 0.0, p


def inner_slope(x: np.ndarray, y: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Slope of y on x with an intercept for each group, and its two-sided p."""
    sizes = np.bincount(group)
    x, y = (v - np.bincount(group, v)[group] / sizes[group] for v in (x, y))
    df, spread = len(x) - len(sizes) - 1, float(x @ x)
    if df < 1 or spread <= 1e-12:
        return 0.0, 1.0
    slope = float(x @ y) / spread
    error = np.sqrt(float(((y - slope * x) ** 2).sum()) / df / spread)
    return slope, float(2 * student.sf(abs(slope) / error, df)) if error > 0 else 0.0
