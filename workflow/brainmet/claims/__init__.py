"""Claims: published statements, each with what was measured for it here and a verdict.

A claim is an entry of `resources/claims/claims.yaml` (`workflow/schemas/claim.schema.yaml`): a readout in a
compartment, two groups of donors (or one, against a value), and the direction the statement gives or the bound within
which it says nothing changes. Each is one test on donors, by the same code as the contrasts; p values are adjusted
over the claims that could be tested. What bulk tissue says of the same readout stands beside it and decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from brainmet.bulk import BULK_PAIRED, BULK_UNPAIRED, Tissue
from brainmet.claims.entries import EXPRESSION, describe, design_of, reference, threshold
from brainmet.claims.readouts import Reader, Readout, gene_sets_of
from brainmet.claims.verdicts import untested, verdict, with_companions, within_bound
from brainmet.compare import compare, pooled
from brainmet.compare.coincidence import coinciding
from brainmet.compare.contrast import NO_SITE, Contrast
from brainmet.compare.drift import drift_of_random_sets
from brainmet.compare.estimators import (
    CONFOUNDED,
    NESTED,
    NOT_TESTABLE,
    POOLED,
    RANK,
    REFUSED,
    WITHIN,
    Design,
    strongest,
)
from brainmet.compare.one_group import one_group
from brainmet.contract import Compartment, Obs
from brainmet.core.tables import blank, columns, empty
from brainmet.stats import effects

UNITS = {
    "correlation": "rho",
    "detected": "share of cells",
    "crosstalk": "rank",
    "share": "log2 odds",
    "similarity": "z",
}
"""Of the estimates by kind of readout; log2 of all others."""
_MEASURED = (
    *("estimator", "effect", "ci_low", "ci_high", "p", "p_perm", "p_perm_min"),
    *("mde", "n_studies", "reason", "simulated", "design", "opposed"),
)


def claims(
    entries: Sequence[Mapping[str, Any]],
    reader: Reader,
    *,
    design: Design,
    bound: float,
    tissues: Sequence[Tissue] = (),
) -> pd.DataFrame:
    """Rows of `claims.tsv`, in the order of the entries.

    Args:
        entries: as `entries.load` returns them.
        reader: measures the readouts.
        bound: Hedges' g within which a statement of no difference holds, where the claim gives no bound of its own.
        tissues: bulk cohorts.
    """
    rows = [
        evaluate(entry, reader, design=design, bound=bound) | in_bulk(entry, reader, tissues, design=design)
        for entry in entries
    ]
    if not rows:
        return empty("claims")
    table = pd.DataFrame(rows)
    barred = [untested(row, entry) for row, entry in zip(table.to_dict("records"), entries, strict=True)]
    tested = np.array([found is None for found in barred])
    table["fdr"] = np.nan
    table["fdr_clean"] = np.nan
    for p, adjusted in (("p", "fdr"), ("p_clean", "fdr_clean")):
        table.loc[tested, adjusted] = effects.fdr(table.loc[tested, p].to_numpy(float))
    table["bulk_fdr"] = effects.fdr(table["bulk_p"].to_numpy(float))
    judged = [
        found or verdict(row, entry, design=design, bound=entry.get("bound", bound))
        for found, row, entry in zip(barred, table.to_dict("records"), entries, strict=True)
    ]
    judged = with_companions(judged, entries)
    table["verdict"], table["reason"], table["why"] = zip(*judged, strict=True)
    return table[columns("claims")]


def evaluate(entry: Mapping[str, Any], reader: Reader, *, design: Design, bound: float) -> dict[str, Any]:
    """What was measured for one claim: the deciding row of its contrast, and what speaks against it."""
    row, readout = described(entry), reader.readout(entry)
    if readout.reason:
        return row | {"reason": readout.reason}
    contrast, rules = Contrast.read(entry["comparison"]), design_of(entry, design)
    best = deciding(readout, entry, design=design)
    row |= measured(best, readout, entry, contrast, site=best.get("primary_site", rules.primary_site))
    if row["estimator"] in RANK:
        row |= without_ambient(reader.control(entry), entry, design=design)
        row["from_source"] = rests_on_source(row, readout, entry, design=design, bound=bound)
    if contrast.b and row["estimator"] in (WITHIN, NESTED):
        row["coinciding"] = ", ".join(coinciding(readout.donors, contrast, best, design=rules))
    if row["estimator"] == NESTED:
        row["p_drift"] = _p_drift(readout, best, contrast, reader, design=rules)
    return row


def described(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a claim of which nothing is measured yet."""
    return blank("claims") | {
        "claim": entry["id"],
        "statement": entry["statement"],
        "reference": reference(entry["reference"]),
        "readout": describe(entry["readout"]),
        "compartment": entry["compartment"],
        "comparison": entry["comparison"]["id"],
        "expected": entry["direction"],
        "caveat": entry.get("caveat", ""),
        "contested": entry.get("contested", False),
        "requires": "; ".join(entry.get("requires", [])),
        "derived_from": ";".join(entry.get("derived_from", [])),
        "estimator": NOT_TESTABLE,
        "simulated": False,
        "datasets": "",
        "from_source": False,
        "design": "",
        "controlled": False,
        "coinciding": "",
        "opposed": "",
        "p_clean": np.nan,
    }


def measured(
    best: pd.Series, readout: Readout, entry: Mapping[str, Any], contrast: Contrast, *, site: str
) -> dict[str, Any]:
    """What the deciding row says, in its own units too, and the donors that it rests on."""
    used = contrast.resting_on(best, readout.donors, site=site)
    coverage, why = readout.coverage(used, together=best["estimator"] in (NESTED, CONFOUNDED))
    row = {name: best[name] for name in _MEASURED if name in best.index} | estimate(best, entry)
    # Two groups that lack donors, or were measured differently, were never scored: the design is why.
    scored = not contrast.b or best["estimator"] not in (NOT_TESTABLE, REFUSED)
    if why and scored and not np.isfinite(row["effect"]):
        row["reason"] = why
    return row | {
        "n_donors": int(best["n_donors"]),
        "coverage": coverage,
        "datasets": ";".join(sorted({name for names in used[Obs.DATASET] for name in str(names).split(";")})),
    }


def rests_on_source(
    row: Mapping[str, Any], readout: Readout, entry: Mapping[str, Any], *, design: Design, bound: float
) -> bool:
    """Whether the donors that a claim was made from are needed to show it: those from elsewhere do not by themselves.

    Normal tissue may be that of the source: no claim is about it.
    """
    sources = set(entry.get("derived_from", []))
    if not sources & set(row["datasets"].split(";")):
        return False
    own = np.array([set(str(names).split(";")) <= sources for names in readout.donors[Obs.DATASET]], bool)
    elsewhere = readout.donors[~own | readout.donors[Obs.CONDITION].isin(NO_SITE)]
    alone = deciding(replace(readout, donors=elsewhere), entry, design=design)
    if untested(alone, entry):
        return True
    if entry["direction"] == "none":
        return not within_bound(alone, entry.get("bound", bound))
    return not (alone.get("p", np.nan) < design.alpha and np.sign(alone["effect"]) == np.sign(row["effect"]))


def without_ambient(control: Readout | None, entry: Mapping[str, Any], *, design: Design) -> dict[str, Any]:
    """What the deciding row says on profiles less ambient RNA; nothing where there is no such control."""
    if control is None or control.reason:
        return {}
    clean = deciding(control, entry, design=design)
    return {"effect_clean": clean["effect"], "p_clean": clean.get("p", np.nan), "controlled": True}


def _p_drift(readout: Readout, best: pd.Series, contrast: Contrast, reader: Reader, *, design: Design) -> float:
    """Share of random sets that differ as much between the studies of a nested row; NaN for a readout that is not one
    signature."""
    if len(readout.scorers) != 1 or len(readout.scorers[0].sets) != 1:
        return np.nan
    scorer, t = readout.scorers[0], np.array([best["effect"] / best["se"]])
    listed = list(reader.sets.values())
    found = drift_of_random_sets(
        scorer.profiles, scorer.sets, t, best, contrast, listed=listed, design=design, scoring=reader.scoring
    )
    return float(found[0, 1])


def deciding(readout: Readout, entry: Mapping[str, Any], *, design: Design) -> pd.Series:
    """The pooled row of the strongest estimator that the donors allow, with the studies that show its opposite by
    themselves (`opposed`)."""
    contrast, rules = Contrast.read(entry["comparison"]), design_of(entry, design)
    if not contrast.b:
        return one_group(readout.values, readout.donors, contrast, against=threshold(entry), design=rules)
    rows = compare(readout.values, readout.donors, contrast, design=rules)
    best = rows.loc[strongest(rows[rows["study"] == POOLED])].copy()
    same = (rows["estimator"] == best["estimator"]) & (rows["primary_site"] == best["primary_site"])
    parts = rows[same & (rows["study"] != POOLED)]
    if len(parts):
        found = (parts["p"] < design.alpha) & (np.sign(parts["effect"]) == -np.sign(best["effect"]))
        best["opposed"] = ", ".join(parts.loc[found, "study"])
    return best


def estimate(best: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, float | str]:
    """The effect in units that can be read: log2 difference, rho, share, rank."""
    kind = next((kind for kind in UNITS if kind in entry["readout"]), "")
    shift = threshold(entry) if "b" not in entry["comparison"] else 0.0
    values = [float(best.get(name, np.nan)) + shift for name in ("difference", "difference_low", "difference_high")]
    if "b" not in entry["comparison"] and kind in ("correlation", "detected"):
        values = [float(np.tanh(v)) if kind == "correlation" else 1 / (1 + 2.0**-v) for v in values]
    names = ("estimate", "estimate_low", "estimate_high")
    return dict(zip(names, values, strict=True)) | {"unit": UNITS.get(kind, "log2")}


def in_bulk(entry: Mapping[str, Any], reader: Reader, tissues: Sequence[Tissue], *, design: Design) -> dict[str, Any]:
    """What bulk tissue says of the same readout: paired cohorts pooled where there are any, else unpaired ones."""
    row = {name: value for name, value in blank("claims").items() if name.startswith("bulk_")}
    spec, comparison = entry["readout"], entry["comparison"]
    expressed = set(EXPRESSION) & set(spec) and entry["compartment"] in (Compartment.TUMOUR, Compartment.WHOLE)
    if not expressed or "minus" in spec or "b" not in comparison or {"by", "where"} & set(comparison):
        return row
    sets, absent = gene_sets_of(spec, reader.sets)
    if absent:
        return row
    found: dict[str, list[tuple[str, effects.Estimate]]] = {BULK_PAIRED: [], BULK_UNPAIRED: []}
    for tissue in tissues:
        if tissue.dataset in entry.get("derived_from", []):
            continue
        scores, _ = tissue.scores(sets)
        values = scores.mean(axis=1, skipna=False).to_frame().dropna()
        compared = tissue.compare(values, Contrast.read(comparison), site=design_of(entry, design).primary_site)
        if compared and np.isfinite(compared.found.g).all():
            found[compared.estimator].append((tissue.study, compared.found))
    estimator = next((name for name, estimates in found.items() if estimates), "")
    if not estimator:
        return row
    studies, estimates = zip(*found[estimator], strict=True)
    best = pooled(pd.Index(["value"]), list(estimates), design).iloc[0]
    return {
        "bulk_estimator": estimator,
        "bulk_effect": best["effect"],
        "bulk_ci_low": best["ci_low"],
        "bulk_ci_high": best["ci_high"],
        "bulk_p": best["p"],
        "bulk_n": int(best["n_a"] if estimator == BULK_PAIRED else best["n_a"] + best["n_b"]),
        "bulk_studies": ";".join(studies),
    }
