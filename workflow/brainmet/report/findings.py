"""The first screen: what was analysed, what was found."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brainmet.contract import MALIGNANT_TIERS, UNKNOWN, Obs
from brainmet.report.palette import in_order
from brainmet.report.wording import compartment_words, contrast_words, counted, prose, start, words

DECIDED = ("supported", "recovered", "contradicted", "equivalent", "reproduced_in_source")
"""Verdicts that say something; `inconclusive` was tested too."""
MEANING = {
    "supported": "the effect is larger than chance explains (FDR and permutations) and has the direction of the claim",
    "recovered": "as supported, but on simulated data: it shows that the method works and says nothing about patients",
    "contradicted": "the effect is larger than chance explains and has the other direction; for a claim of no "
    "difference, it lies outside the bound",
    "equivalent": "the 90 % interval lies within the bound of no difference; for a claim with a direction this means "
    "that there is no difference of the claimed size",
    "reproduced_in_source": "the claim holds, but tumours from elsewhere than its own source do not show it by "
    "themselves",
    "inconclusive": "the claim was tested and not settled; the row says why",
    "confounded": "the two conditions lie in different studies, so their difference may be one of studies; it is shown "
    "and gets no verdict",
    "not_testable": "this run lacks what the test needs; the row says what",
}
"""Verdicts in the order in which claims are listed, with what they mean."""
REACH = 6.0
"""Largest effect that the small intervals draw; beyond it stands an arrow."""


def overview(samples: pd.DataFrame, annotation: pd.DataFrame, qc: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the first screen and one row per dataset."""
    donors = annotation.groupby([Obs.STUDY, Obs.DONOR], sort=True).size() if len(annotation) else []
    return {
        "datasets": [_dataset(str(name), rows, annotation) for name, rows in samples.groupby("dataset", sort=True)],
        "conditions": _conditions(samples),
        "n_datasets": samples["dataset"].nunique(),
        "n_studies": samples["study"].nunique(),
        "n_samples": len(samples),
        "n_donors": len(donors),
        "n_in": int(samples["n_barcodes"].sum()),
        "n_out": len(annotation),
        "n_types": annotation.loc[annotation[Obs.CELL_TYPE] != UNKNOWN, Obs.CELL_TYPE].nunique(),
        "excluded": list(qc.loc[qc["status"] != "kept", "sample"]),
        "n_malignant": int(annotation[Obs.MALIGNANCY].isin(MALIGNANT_TIERS).sum()),
    }


def in_short(found: Mapping[str, Any], claims: Mapping[str, Any], levels: list[str]) -> str:
    """What to know after ten seconds.

    Args:
        found: as `overview` returns it.
        claims: as `verdicts` returns it.
        levels: of the cautions; notes are not counted.
    """
    cohort = f"{counted(found['n_samples'], 'sample')} of {counted(found['n_donors'], 'donor')}"
    said = [f"{cohort}: {found['conditions']}." if found["conditions"] else f"{cohort}."]
    if claims["n"]:
        outcomes = [f"{c['n']} {c['words']}" for c in claims["counts"]]
        said.append(f"Of {counted(claims['n'], 'published claim')}: {', '.join(outcomes)}.")
    serious = levels.count("serious")
    doubts = serious + levels.count("caution")
    of_them = f", {serious} of them serious" if serious else ""
    said.append(f"{counted(doubts, 'caution')}{of_them}, named below." if doubts else "No check raised a caution.")
    return " ".join(said)


def _dataset(name: str, rows: pd.DataFrame, annotation: pd.DataFrame) -> dict[str, Any]:
    inside = annotation[annotation[Obs.DATASET] == name]
    kinds = set(zip(rows["technology"].fillna(UNKNOWN), rows["suspension"].fillna(UNKNOWN), strict=True))
    return {
        "id": name,
        "studies": rows["study"].nunique(),
        "samples": len(rows),
        "donors": inside.groupby([Obs.STUDY, Obs.DONOR]).ngroups,
        "conditions": _conditions(rows),
        "technology": ", ".join(sorted(f"{words(t)}, {SUSPENDED.get(s, s)}" for t, s in kinds)),
        "n_in": int(rows["n_barcodes"].sum()),
        "n_out": int(rows["n_kept"].sum()),
    }


SUSPENDED = {"cell": "cells", "nucleus": "nuclei"}


def _conditions(samples: pd.DataFrame) -> str:
    """Samples by condition, in the palette's order."""
    each = samples["condition"].str.split(";").explode().str.strip()
    counts = each.value_counts(sort=False)
    return ", ".join(f"{counts[c]} {words(c)}" for c in in_order(counts.index))


def verdicts(claims: pd.DataFrame) -> dict[str, Any]:
    """Claims for the first screen: those decided, those tested and not settled, those without a verdict."""
    order = {name: position for position, name in enumerate([*MEANING, "other"])}
    limits = np.abs(claims[["ci_low", "ci_high"]].to_numpy(float))
    reach = min(REACH, max(1.0, float(np.nanmax(limits, initial=1.0))))
    rows = [_claim(claim, reach) for claim in claims.to_dict("records")]
    rows.sort(key=lambda row: (not row["known"], order.get(row["verdict"], len(order)), row["claim"]))
    counts = claims["verdict"].value_counts(sort=False)
    listed = [
        {"verdict": v, "words": words(v), "n": int(counts[v]), "meaning": MEANING.get(v, "")}
        for v in sorted(counts.index, key=lambda v: order.get(v, 99))
    ]
    decided = [row for row in rows if row["verdict"] in DECIDED]
    open_ = [row for row in rows if row["verdict"] == "inconclusive"]
    others = [row for row in rows if row not in decided and row not in open_]
    return {"decided": decided, "open": open_, "others": others, "counts": listed, "n": len(rows)}


def _claim(claim: Mapping[str, Any], reach: float) -> dict[str, Any]:
    effect, low, high = (claim[k] for k in ("effect", "ci_low", "ci_high"))
    known = bool(np.isfinite([effect, low, high]).all())
    reason = prose(str(claim["reason"]))
    return {
        **claim,
        "known": known,
        "interval": verdict_interval(effect, low, high, reach=reach),
        "numbers": f"{effect:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−") if known else "",
        "against": contrast_words(claim["comparison"]),
        "compartment": compartment_words(claim["compartment"]),
        "readout": words(claim["readout"]),
        "reason": start(reason),
        "why": start(prose(str(claim["why"]))),
        "verdict_words": words(claim["verdict"]),
    }


def verdict_interval(effect: float, low: float, high: float, *, reach: float) -> str:
    """A claim's effect and interval as a small inline SVG, an arrow where it goes on; empty where there is none."""
    if not all(np.isfinite([effect, low, high])):
        return ""
    x = [60 + 54 * float(np.clip(v / reach, -1, 1)) for v in (low, effect, high)]
    left = '<path d="M2 9l7 -4v8z" class="on"/>' if low < -reach else ""
    right = '<path d="M118 9l-7 -4v8z" class="on"/>' if high > reach else ""
    point = f'<circle cx="{x[1]:.1f}" cy="9" r="4"/>' if abs(effect) <= reach else ""
    return (
        '<svg class="interval" viewBox="0 0 120 18" width="120" height="18" role="img" aria-label="effect '
        f'{effect:.2f}, interval {low:.2f} to {high:.2f}">'
        f'<line x1="60" y1="1" x2="60" y2="17" class="zero"/>'
        f'<line x1="{x[0]:.1f}" y1="9" x2="{x[2]:.1f}" y2="9" class="bar"/>{left}{right}{point}</svg>'
    )
