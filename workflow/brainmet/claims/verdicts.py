"""Verdicts on claims: what the measured numbers say of a claim, in a word and a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from brainmet.compare.coincidence import DIFFER_TOO
from brainmet.compare.estimators import CONFOUNDED, NESTED, NOT_TESTABLE, PAIRED, RANK, REFUSED, TRANSFER, Design

TOO_FEW_PAIRS = "too few patients were sampled at both sites; the claim is about changes within patients"
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


def untested(row: Mapping[str, Any], entry: Mapping[str, Any]) -> Verdict | None:
    """Verdict on a claim that these donors cannot test; None of one that they can."""
    state, reason = row["estimator"], str(row.get("reason") or "")
    if PAIRED in entry.get("requires", []) and state in RANK and row["design"] != PAIRED:
        return Verdict(NOT_TESTABLE, TOO_FEW_PAIRS, TOO_FEW_PAIRS)
    if state in (NOT_TESTABLE, REFUSED) or (state in RANK and not np.isfinite(row["effect"])):
        why = reason or "the readout cannot be scored in these donors"
        return Verdict(NOT_TESTABLE, why, why)
    if state == CONFOUNDED:
        return Verdict(CONFOUNDED, reason, reason)
    floor = entry.get("estimator_min", TRANSFER if "b" not in entry["comparison"] else NESTED)
    if RANK[state] < RANK[floor]:
        why = f"only an estimate by {state} is possible; the claim needs {floor} or better"
        return Verdict(NOT_TESTABLE, why, why)
    return None


def verdict(row: Mapping[str, Any], entry: Mapping[str, Any], *, design: Design, bound: float) -> Verdict:
    """Verdict on a claim that was tested.

    A direction is supported or contradicted when the adjusted p is below alpha, and the permutation p too wherever
    the donors are enough for it to get there. A claim of no difference is tested against its bound (two
    one-sided tests).
    """
    significant = bool(row["fdr"] < design.alpha) and permutation_allows(row, design.alpha)
    bounded = entry["direction"] == "none" or "bound" in entry
    settled = significant or (bounded and within_bound(row, bound))
    if settled and (objection := objection_to(row, significant=significant, alpha=design.alpha)):
        return _said("inconclusive", row, entry, objection)
    judge = of_no_difference if entry["direction"] == "none" else of_direction
    return judge(row, entry, significant=significant, design=design, bound=bound)


def permutation_allows(row: Mapping[str, Any], alpha: float) -> bool:
    """Whether the permutation p agrees: labels that cannot reach alpha, or were not permuted (`nested`), do."""
    reachable = row["p_perm_min"] <= alpha
    return bool(not reachable or np.isnan(row["p_perm"]) or row["p_perm"] < alpha)


def objection_to(row: Mapping[str, Any], *, significant: bool, alpha: float) -> str:
    """What speaks against a result that would settle a claim, in words; empty where nothing does."""
    if significant and row["controlled"] and not _holds_without_ambient(row, alpha):
        return _less_ambient(row)
    if row["opposed"]:
        return f"the opposite in {row['opposed']}"
    if row["coinciding"]:
        return DIFFER_TOO.format(row["coinciding"])
    if significant and row["p_drift"] >= alpha:
        return f"random sets of genes differ as much between these studies (p {row['p_drift']:.2g})"
    return ""


def of_no_difference(
    row: Mapping[str, Any], entry: Mapping[str, Any], *, significant: bool, design: Design, bound: float
) -> Verdict:
    """Verdict on a claim that nothing changes, against which nothing speaks."""
    if within_bound(row, bound):
        return _said(_sourced("equivalent", row), row, entry, f"inside ±{bound:g} at 90 %", ": ")
    if significant and (row["ci_low"] > bound or row["ci_high"] < -bound):
        return _said(
            "contradicted", row, entry, f"outside ±{bound:g}, where the claim is that there is no difference", ": "
        )
    return _said("inconclusive", row, entry, f"±{bound:g} is neither shown nor excluded; {_detectable(row, design)}")


def of_direction(
    row: Mapping[str, Any], entry: Mapping[str, Any], *, significant: bool, design: Design, bound: float
) -> Verdict:
    """Verdict on a claim that something rises or falls, against which nothing speaks."""
    if significant and np.sign(row["effect"]) == {"up": 1, "down": -1}[entry["direction"]]:
        positive = "recovered" if row["simulated"] else "supported"
        return _said(_sourced(positive, row), row, entry, "as the claim says", ", ")
    if significant:
        return _said("contradicted", row, entry, "against the claim", ", ")
    if "bound" in entry and within_bound(row, bound):
        why = f"inside ±{bound:g} at 90 %, no difference of the size that the claim needs"
        return _said("equivalent", row, entry, why, ": ")
    return _said("inconclusive", row, entry, _detectable(row, design))


def _said(state: str, row: Mapping[str, Any], entry: Mapping[str, Any], why: str, joint: str = "; ") -> Verdict:
    """A verdict with its sentence: the numbers, and behind `joint` what settles it."""
    contested = "published both ways; " if entry.get("contested") else ""
    interval = f"g {row['effect']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
    numbers = f"{contested}{interval}, FDR {row['fdr']:.2g}, {row['n_donors']} donors"
    return Verdict(state, f"{numbers}{joint}{why}", why)


def _holds_without_ambient(row: Mapping[str, Any], alpha: float) -> bool:
    """Whether an effect keeps its sign and stays significant on profiles less ambient RNA."""
    return bool(np.sign(row["effect_clean"]) == np.sign(row["effect"]) and row["fdr_clean"] < alpha)


def _less_ambient(row: Mapping[str, Any]) -> str:
    """What is left of an effect without the counts that ambient RNA can explain, in words."""
    if not np.isfinite(row["effect_clean"]):
        return "without the counts that ambient RNA can explain, too few are left to test"
    left = f"g {row['effect_clean']:.2f}, FDR {row['fdr_clean']:.2g}"
    return f"without what ambient RNA of the samples' other cells can explain, {left}"


def _detectable(row: Mapping[str, Any], design: Design) -> str:
    """What an effect would have to be to be found, in words."""
    if not np.isfinite(row["mde"]):
        return f"no effect, however large, is found with {design.power:.0%} power by so few donors per study"
    return f"detectable g {row['mde']:.2f} at {design.power:.0%} power"


def within_bound(row: Mapping[str, Any], bound: float) -> bool:
    """Two one-sided tests at 5 %: the 90 % interval is inside ±bound. It is the 95 % one narrowed by the ratio of
    normal quantiles; for t intervals that is a little too wide, never too narrow."""
    half = max(row["ci_high"] - row["effect"], row["effect"] - row["ci_low"]) * 1.6449 / 1.9600
    return bool(abs(row["effect"]) + half < bound)


def _sourced(state: str, row: Mapping[str, Any]) -> str:
    """The verdict, or `reproduced_in_source`: a claim cannot be confirmed by the donors that it came from."""
    return "reproduced_in_source" if row["from_source"] else state


def with_companions(judged: Sequence[Verdict], entries: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """The verdicts, where a claim that others must confirm (`also`) is not supported without them."""
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
