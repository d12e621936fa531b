"""How well each step recovered the truth of the simulated cohort: the rows of `recovery.tsv`.

Every function compares one step's output with what was planted and gives rows of `step, metric, value, n, note`. What
cannot be computed (no such output, a single class) is NaN with the reason in its note: a missing number never reads as
a good one.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainmet.compare.contrasts import AMBIENT
from brainmet.compare.estimators import NOT_TESTABLE, POOLED, WITHIN
from brainmet.contract import CELL_ID, MALIGNANT_TIERS, UNKNOWN, Compartment, Obs, Tier

CONFIRMING = ("recovered", "supported")
HARMLESS_TO_NULL = (*CONFIRMING, "equivalent", "inconclusive")
"""Verdicts that do not contradict a claim of no change, where none was planted."""


class Metric(NamedTuple):
    """One row: a step, what of it is measured, the value, what it rests on, and what exactly was compared."""

    step: str
    metric: str
    value: float
    n: int
    note: str


def truth_of_cells(cells: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Truth of all barcodes, indexed by cell id.

    Args:
        cells: sample id → obs of its simulated file, indexed by barcode, with `truth_*` columns.
    """
    frames = []
    for sample, obs in cells.items():
        truth = obs.filter(regex="^truth_")
        frames.append(truth.set_axis([f"{sample}:{barcode}" for barcode in obs.index]))
    return pd.concat(frames).rename_axis(CELL_ID)


def recovery(
    truth: pd.DataFrame,
    cells: pd.DataFrame,
    annotation: pd.DataFrame,
    *,
    arms: pd.DataFrame,
    true_arms: pd.DataFrame,
    contrasts: pd.DataFrame,
    claims: pd.DataFrame,
    shifts: pd.DataFrame,
    coarse: Callable[[str], str],
    alpha: float,
) -> pd.DataFrame:
    """All rows of `recovery.tsv`.

    Args:
        truth: as `truth_of_cells` gives it.
        cells: `doublet_score, doublet, keep, reason` of every barcode, indexed by cell id.
        annotation: `cell_type, malignancy, malignancy_score` of the kept cells, indexed by cell id.
        arms: called copy number, `sample, group, arm, call`.
        true_arms: the table `truth_arms`.
        contrasts: `signature, cell_type, contrast, estimator, study, effect, fdr, explained_by`.
        claims: `claim, verdict`.
        shifts: the table `truth_shifts`.
        coarse: type id → class in which agreement is measured.
        alpha: adjusted p below which a contrast is a finding.
    """
    cells = cells.join(truth, how="inner")
    annotated = annotation.join(truth, how="inner")
    rows = [*quality(cells), *doublets(cells), *identity(annotated, coarse), *malignancy(annotated)]
    rows += [*copy_number(arms, true_arms), *shift_rows(contrasts, shifts, alpha=alpha), *claim_rows(claims, shifts)]
    return pd.DataFrame(rows, columns=list(Metric._fields))


def quality(cells: pd.DataFrame) -> list[Metric]:
    """Damaged barcodes dropped, and whole ones kept; doublets are judged apart."""
    kept = cells[Obs.KEEP].to_numpy(bool) | (cells[Obs.REASON] == "doublet").to_numpy()
    single = ~cells["truth_doublet"].to_numpy(bool)
    whole = single & ~(cells["truth_low_quality"] | cells["truth_dying"]).to_numpy(bool)
    return [
        _share(
            "qc", "low_quality_dropped", ~kept, cells["truth_low_quality"].to_numpy(bool), "barcodes with few counts"
        ),
        _share("qc", "dying_dropped", ~kept, cells["truth_dying"].to_numpy(bool), "barcodes rich in mitochondrial RNA"),
        _share("qc", "whole_cells_kept", kept, whole, "single whole cells; dropped as doublets not counted"),
    ]


def doublets(cells: pd.DataFrame) -> list[Metric]:
    """Ranking of doublets by score, and the default call, among barcodes with a score."""
    scored = cells[cells[Obs.DOUBLET_SCORE].notna()]
    score, real = scored[Obs.DOUBLET_SCORE].to_numpy(float), scored["truth_doublet"].to_numpy(bool)
    called, n = scored["doublet"].to_numpy(bool), len(scored)
    mixed = real & (scored["truth_partner"] != scored["truth_cell_type"]).to_numpy()
    return [
        Metric(
            "doublets", "auroc", auroc(score, real), n, f"{int(real.sum())} doublets among {n} barcodes with a score"
        ),
        Metric("doublets", "auprc", average_precision(score, real), n, "average precision"),
        _share("doublets", "recall", called, real, "at the default call"),
        _share("doublets", "recall_heterotypic", called, mixed, "at the default call, cells of two types"),
        _share("doublets", "precision", real, called, "at the default call"),
    ]


def identity(annotated: pd.DataFrame, coarse: Callable[[str], str]) -> list[Metric]:
    """Agreement of cell types in coarse classes, on single whole cells that were kept."""
    cells = annotated[~(annotated["truth_doublet"] | annotated["truth_low_quality"])]
    real = cells["truth_cell_type"].map(coarse).to_numpy(object)
    called = cells[Obs.CELL_TYPE].map(coarse).to_numpy(object)
    n, classes = len(cells), sorted(set(real) - {UNKNOWN})
    exact = (cells[Obs.CELL_TYPE] == cells["truth_cell_type"]).to_numpy()
    brain = cells["truth_cell_type"].isin(["microglia", "macrophage_md"]).to_numpy()
    f1 = [_f1(called == name, real == name) for name in classes]
    return [
        Metric("identity", "accuracy", _mean(called == real), n, "coarse classes, single whole cells"),
        Metric(
            "identity", "macro_f1", _mean(np.array(f1)), n, f"mean over {len(classes)} classes: {', '.join(classes)}"
        ),
        Metric("identity", "unknown", _mean(called == UNKNOWN), n, "cells without a class"),
        _share("identity", "microglia_or_macrophage", exact, brain, "the right one of the two"),
        *(
            Metric("identity", f"f1_{name}", value, int((real == name).sum()), "")
            for name, value in zip(classes, f1, strict=True)
        ),
    ]


def malignancy(annotated: pd.DataFrame) -> list[Metric]:
    """Malignant against normal among single whole cells that were kept."""
    cells = annotated[~(annotated["truth_doublet"] | annotated["truth_low_quality"])]
    real = cells["truth_malignant"].to_numpy(bool)
    called = cells[Obs.MALIGNANCY].isin(MALIGNANT_TIERS).to_numpy()
    score, n = cells[Obs.MALIGNANCY_SCORE].to_numpy(float), len(cells)
    known = ~np.isnan(score)
    sensitivity = _share("malignancy", "sensitivity", called, real, "malignant or likely_malignant")
    specificity = _share("malignancy", "specificity", ~called, ~real, "normal or uncertain")
    uncertain = _mean((cells[Obs.MALIGNANCY] == Tier.UNCERTAIN).to_numpy())
    return [
        Metric(
            "malignancy",
            "balanced_accuracy",
            (sensitivity.value + specificity.value) / 2,
            n,
            "malignant or likely_malignant against the rest",
        ),
        Metric("malignancy", "auroc", auroc(score[known], real[known]), int(known.sum()), "of malignancy_score"),
        sensitivity,
        specificity,
        Metric("malignancy", "uncertain", uncertain, n, "cells of the tier uncertain"),
    ]


def copy_number(arms: pd.DataFrame, true_arms: pd.DataFrame) -> list[Metric]:
    """Arms called gained or lost against those planted, over the arms that were judged.

    Trunk alterations count as altered, untouched arms as neutral; arms that only a subclone carries are judged apart.
    """
    called = arms[arms["group"] == Compartment.MALIGNANT][["sample", "arm", "call"]]
    both = true_arms.merge(called, on=["sample", "arm"], how="inner")
    trunk = ((both["state"] != "neutral") & (both["share"] >= 1 - 1e-6)).to_numpy()
    neutral = (both["state"] == "neutral").to_numpy()
    right = (both["state"] == both["call"]).to_numpy()
    altered = (both["call"] != "neutral").to_numpy()
    return [
        _share("copy_number", "sensitivity", right, trunk, "trunk arms called with the right sign"),
        _share("copy_number", "specificity", ~altered, neutral, "untouched arms called neutral"),
        _share("copy_number", "precision", right, altered, "called arms that are altered with that sign"),
        _share("copy_number", "sensitivity_subclonal", right, ~trunk & ~neutral, "arms altered in a subclone only"),
    ]


def shift_rows(contrasts: pd.DataFrame, shifts: pd.DataFrame, *, alpha: float) -> list[Metric]:
    """Planted shifts found and shifts falsely found, by the estimator `within` below FDR `alpha` in malignant cells.

    A finding that the table marks as ambient RNA (`explained_by`) is no finding.
    """
    decides = (contrasts["estimator"] == WITHIN) & (contrasts["study"] == POOLED) & contrasts["fdr"].notna()
    rows = contrasts[decides & (contrasts["cell_type"] == Compartment.MALIGNANT)]
    keys = ["signature", "contrast"]
    judged = shifts.merge(rows[[*keys, "effect", "fdr", "explained_by"]], on=keys, how="inner")
    marked = judged["explained_by"].fillna("").str.split(";").map(lambda names: AMBIENT in names)
    found = (judged["fdr"] < alpha).to_numpy() & ~marked.to_numpy(bool)
    right = found & (np.sign(judged["effect"]) == judged["direction"]).to_numpy()
    wrong = found & ~right
    kind, trap = judged["kind"].to_numpy(), judged["trap"].to_numpy()
    missed = ", ".join(judged["signature"][(kind == "true") & ~right])
    false = ", ".join(judged["signature"][(kind == "null") & found])
    passed = ", ".join(judged["signature"][(kind == "trap") & found])
    return [
        _share(
            "shifts",
            "found",
            right,
            kind == "true",
            f"within studies, FDR < {alpha:g}, right sign; missed: {missed or 'none'}",
        ),
        _share("shifts", "wrong_sign", wrong, kind == "true", "found with the wrong sign"),
        _share(
            "shifts", "falsely_found", found, kind == "null", f"signatures without a shift; found: {false or 'none'}"
        ),
        _share("shifts", "traps_found", found, kind == "trap", f"found: {passed or 'none'}"),
        *(
            _share("shifts", f"trap_{name}", found, (kind == "trap") & (trap == name), "found as a shift")
            for name in sorted(set(trap) - {""})
        ),
    ]


def claim_rows(claims: pd.DataFrame, shifts: pd.DataFrame) -> list[Metric]:
    """Verdicts on claims against the verdict that the truth calls for."""
    stated = shifts[shifts["claim"] != ""].drop_duplicates("claim")
    judged = stated.merge(claims[["claim", "verdict"]], on="claim", how="inner", suffixes=("_expected", ""))
    judged = judged[judged["verdict"] != NOT_TESTABLE]
    right = np.array([_fits(e, v) for e, v in zip(judged["verdict_expected"], judged["verdict"], strict=True)], bool)
    kind = judged["kind"].to_numpy()
    wrong = ", ".join(f"{c} {v}" for c, v in zip(judged["claim"][~right], judged["verdict"][~right], strict=True))
    confirmed = judged["verdict"].isin(CONFIRMING).to_numpy()
    return [
        _share(
            "claims", "right_verdict", right, np.ones(len(judged), bool), f"testable claims; wrong: {wrong or 'none'}"
        ),
        _share("claims", "true_claims_decided", right, kind == "true", "claims with a planted shift"),
        _share("claims", "trap_claims_confirmed", confirmed, kind == "trap", "claims fed only by a trap; 0 is right"),
    ]


def _fits(expected: str, verdict: str) -> bool:
    if expected == "not_contradicted":
        return verdict in HARMLESS_TO_NULL
    if expected == "not_recovered":
        return verdict not in CONFIRMING
    return verdict in (CONFIRMING if expected == "recovered" else (expected,))


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN when a class is empty."""
    from scipy.stats import rankdata

    n = int(positive.sum())
    if n in (0, len(positive)):
        return float("nan")
    rank_sum = rankdata(score)[positive].sum()
    return float((rank_sum - n * (n + 1) / 2) / (n * (len(positive) - n)))


def average_precision(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the precision-recall curve as a sum of steps, equal scores taken together; NaN without positives."""
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    gained = np.diff(hits[last], prepend=0) / hits[-1]
    return float((gained * hits[last] / (last + 1)).sum())


def _f1(called: np.ndarray, real: np.ndarray) -> float:
    total = called.sum() + real.sum()
    return float(2 * (called & real).sum() / total) if total else float("nan")


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _share(step: str, metric: str, hit: np.ndarray, among: np.ndarray, note: str) -> Metric:
    """Share of hits among the selected, as a row."""
    n = int(among.sum())
    value = float(hit[among].mean()) if n else float("nan")
    return Metric(step, metric, value, n, note if n else f"{note}; none to judge")
