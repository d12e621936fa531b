"""Verdicts on claims: what the measured numbers say of a claim, in a word and a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from brainmet.compare.estimators import CONFOUNDED, NESTED, NOT_TESTABLE, REFUSED, TRANSFER, WITHIN, Design

RANK = {TRANSFER: 0, NESTED: 1, WITHIN: 2}
"""Estimators, weakest first: a claim names the weakest it may rest on."""
PAIRED = "paired"
SUPPORTING = ("supported", "recovered", "reproduced_in_source")


class Verdict(NamedTuple):
    """What is said of a claim.

    Attributes:
        state: the word, such as supported.
        reason: the sentence: the numbers, and what settles it.
        why: of that sentence what settles it.
    """

    state: str
    reason: str
    why: str


def untested(row: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Verdict and reason of a claim that these donors cannot test; None of one that they can."""
    state, reason = row["estimator"], str(row.get("reason") or "")
    if PAIRED in entry.get("requires", []) and state in RANK and row["design"] != PAIRED:
        return "not_testable", "no patients sampled at both sites: donors of the two arms differ in subtype"
    if state in (NOT_TESTABLE, REFUSED) or (state in RANK and not np.isfinite(row["effect"])):
        return "not_testable", reason or "the readout cannot be scored in these donors"
    if state == CONFOUNDED:
        return "confounded", reason
    floor = entry.get("estimator_min", TRANSFER if "b" not in entry["comparison"] else NESTED)
    if RANK[state] < RANK[floor]:
        return "not_testable", f"only an estimate by {state} is possible; the claim needs {floor} or better"
    return None


def verdict(row: Mapping[str, Any], entry: Mapping[str, Any], *, design: Design, bound: float) -> Verdict:
    """Verdict on a claim that was tested.

    A direction is supported or contradicted when the adjusted p is below alpha, and the permutation p too wherever
    the donors are enough for it to get there. A claim of no difference is tested against its bound (two
    one-sided tests).
    """
    sources, used = set(entry.get("derived_from", [])), set(str(row["datasets"]).split(";"))
    decided = row["fdr"] < design.alpha and (row["p_perm_min"] > design.alpha or not row["p_perm"] >= design.alpha)
    sign = {"up": 1, "down": -1, "none": 0}[entry["direction"]]
    interval = f"g {row['effect']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
    found = f"{interval}, FDR {row['fdr']:.2g}, {row['n_donors']} donors"
    if entry.get("contested"):
        found = f"published both ways; {found}"
    positive = "recovered" if row["simulated"] else "supported"

    def judged(state: str, why: str, joint: str = "; ") -> Verdict:
        return Verdict(state, f"{found}{joint}{why}", why)

    if decided and row["controlled"]:
        same = np.sign(row["effect_clean"]) == np.sign(row["effect"])
        if not (same and row["fdr_clean"] < design.alpha):
            left = f"g {row['effect_clean']:.2f}, FDR {row['fdr_clean']:.2g}"
            return judged("inconclusive", f"without what ambient RNA of the samples' other cells can explain, {left}")
    settled = decided or ((sign == 0 or "bound" in entry) and within_bound(row, bound))
    if settled and row["opposed"]:
        return judged("inconclusive", f"the opposite in {row['opposed']}")
    if settled and row["coinciding"]:
        return judged("inconclusive", f"in every study the arms differ in {row['coinciding']} too")
    if decided and row["p_drift"] >= design.alpha:
        why = f"random sets of genes differ as much between these studies (p {row['p_drift']:.2g})"
        return judged("inconclusive", why)
    if sign == 0:
        if within_bound(row, bound):
            return judged(_sourced("equivalent", sources, used), f"inside ±{bound:g} at 90 %", ": ")
        if decided and (row["ci_low"] > bound or row["ci_high"] < -bound):
            return judged("contradicted", f"outside ±{bound:g}, where the claim is that there is no difference", ": ")
        return judged("inconclusive", f"±{bound:g} is neither shown nor excluded; {_detectable(row, design)}")
    if decided and np.sign(row["effect"]) == sign:
        return judged(_sourced(positive, sources, used), "as the claim says", ", ")
    if decided:
        return judged("contradicted", "against the claim", ", ")
    if "bound" in entry and within_bound(row, bound):
        why = f"inside ±{bound:g} at 90 %, no difference of the size that the claim needs"
        return judged("equivalent", why, ": ")
    return judged("inconclusive", _detectable(row, design))


def _detectable(row: Mapping[str, Any], design: Design) -> str:
    """What an effect would have to be to be found, in words."""
    if not np.isfinite(row["mde"]):
        return f"no effect, however large, is found with {design.power:.0%} power by so few donors a study"
    return f"detectable g {row['mde']:.2f} at {design.power:.0%} power"


def within_bound(row: Mapping[str, Any], bound: float) -> bool:
    """Two one-sided tests at 5 %: the 90 % interval is inside ±bound. It is the 95 % one narrowed by the ratio of
    normal quantiles; for t intervals that is a little too wide, never too narrow."""
    half = max(row["ci_high"] - row["effect"], row["effect"] - row["ci_low"]) * 1.6449 / 1.9600
    return bool(abs(row["effect"]) + half < bound)


def _sourced(verdict: str, sources: set[str], used: set[str]) -> str:
    """A claim cannot be confirmed by the data it came from."""
    return "reproduced_in_source" if sources and used <= sources else verdict


def jointly(judged: Sequence[Verdict], entries: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """A claim that others must confirm (`also`) is not supported without them."""
    by_id = {entry["id"]: found for entry, found in zip(entries, judged, strict=True)}
    out = []
    for entry, verdict_ in zip(entries, judged, strict=True):
        others = {name: by_id[name].state if name in by_id else "" for name in entry.get("also", [])}
        lacking = [name for name, state in others.items() if state not in SUPPORTING]
        if verdict_.state in SUPPORTING and lacking:
            why = f"{', '.join(lacking)} must hold too and does not ({others[lacking[0]]})"
            verdict_ = Verdict("inconclusive", f"{verdict_.reason}; {why}", why)
        out.append(verdict_)
    return out
