"""Every installed method of annotation on the labelled cells of a run: the whole, each evidence alone, references.

A method alone is read by its votes, else by its scores: the best broad type of each cell. All are measured alike, in
the coarse classes of the resource, on the same cells.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from brainmet import annotate
from brainmet.annotate import SCORE, VOTE
from brainmet.annotate.marker_scores import NO_SCORE, STEEPNESS, scored
from brainmet.concordance import calibration, classes, concordance
from brainmet.contract import MALIGNANT_TIERS, UNKNOWN, Obs, is_malignant
from brainmet.core.tables import columns
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import CellTypes

WHOLE = "brainmet"
"""Name of the consensus in the table."""


def annotation_benchmark(
    samples: Sequence[tuple[Any, pd.DataFrame]],
    cohort: Mapping[str, Any],
    annotation: pd.DataFrame,
    *,
    types: CellTypes,
    methods: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    n_bootstrap: int,
    n_bins: int,
    seed: int,
) -> pd.DataFrame:
    """Compare all methods on the cells that authors labelled.

    Args:
        samples: counts and `cells.parquet` of each sample.
        cohort: what methods of scope cohort read besides the types: `cells, slices, features, clusters, neighbors`.
        annotation: the columns of `annotation.parquet`: the consensus of the run.
        types: the resource.
        methods: methods of the run; all others are tried too, and left out with a reason where their library
            or model is missing.
        options: arguments of each method.
        n_bootstrap, n_bins, seed: see `concordance`.

    Returns:
        The columns of `annotation_benchmark.tsv`: the consensus first, then by falling accuracy.
    """
    if not (classes(annotation, types)[0] != "").any():
        raise BrainmetError(
            "no cell of the run has an author's label that stands for a class: give the dataset file labels with a map"
        )
    known: dict[str, Any] = {**cohort, "types": types}
    rows, spent = [], 0.0
    for name in dict.fromkeys([*methods, *annotate.available()]):
        try:
            table, seconds = _run(name, samples, known, options=options.get(name, {}))
        except BrainmetError as error:
            # A method that was not asked for lacks its model or library: that is said, not fatal.
            if name in methods:
                raise
            rows.append({"method": name, "status": "not_run", "reason": " ".join(str(error).split())})
            continue
        known[name] = table
        if name in methods:
            spent += seconds
        called = alone(table, annotation, types)
        if called is not None:
            rows.append(_measured(name, called, types, n_bootstrap, n_bins, seed) | {"cpu_seconds": seconds})
    whole = _measured(WHOLE, annotation, types, n_bootstrap, n_bins, seed) | {"cpu_seconds": spent}
    table = pd.DataFrame([whole, *rows]).reindex(columns=columns("annotation_benchmark"))
    table["reason"] = table["reason"].fillna("")
    others = table.iloc[1:].sort_values(["accuracy", "method"], ascending=[False, True], kind="stable")
    return pd.concat([table.iloc[:1], others], ignore_index=True)


def alone(table: pd.DataFrame, annotation: pd.DataFrame, types: CellTypes) -> pd.DataFrame | None:
    """The annotation with the calls of one method instead; None for a method that calls no types."""
    columns = {name.removeprefix(VOTE): name for name in table if name.startswith(VOTE)}
    votes = bool(columns)
    columns = columns or {name: SCORE + name for name in scored(table, types.decided("broad"))}
    if not columns:
        return None
    names = np.array(list(columns), dtype=object)
    aligned = table[list(columns.values())].reindex(annotation.index)
    values = np.nan_to_num(aligned.to_numpy(), nan=NO_SCORE)
    shares = np.maximum(values, 0) if votes else softmax(STEEPNESS * values, axis=1)
    best = values.argmax(axis=1)
    result = annotation.copy()
    voted = (values.max(axis=1) > 0) | (not votes)
    result[Obs.CELL_TYPE] = np.where(voted, names[best], UNKNOWN)
    result[Obs.CONFIDENCE] = np.clip(shares[np.arange(len(best)), best], 0, 1)
    # Types alone say nothing of malignancy.
    result[Obs.MALIGNANCY] = ""
    return result


def _run(
    name: str,
    samples: Sequence[tuple[Any, pd.DataFrame]],
    known: Mapping[str, Any],
    *,
    options: Mapping[str, Any],
) -> tuple[pd.DataFrame, float]:
    """What a method says of all cells, and its CPU seconds."""
    method = annotate.describe(name)
    here = {*known, *(("counts", "cells") if method.scope == "sample" else ())}
    if lacking := sorted(set(method.requires) - here):
        raise BrainmetError(f"{name} requires {', '.join(lacking)}, which the run does not have")
    start = time.process_time()
    if method.scope == "cohort":
        inputs = {required: known[required] for required in method.requires}
        return annotate.run(name, inputs, **options), time.process_time() - start
    parts = []
    for counts, cells in samples:
        own = {"counts": counts, "cells": cells, "types": known["types"]}
        inputs = {other: own[other] if other in own else _of(known[other], cells) for other in method.requires}
        parts.append(annotate.run(name, inputs, **options))
    return pd.concat(parts), time.process_time() - start


def _of(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    return table.loc[cells.index[cells[Obs.KEEP].to_numpy(bool)]]


def _measured(
    name: str, annotation: pd.DataFrame, types: CellTypes, n_bootstrap: int, n_bins: int, seed: int
) -> dict[str, Any]:
    """One row of the table."""
    table = concordance(annotation, types=types, n_bootstrap=n_bootstrap, seed=seed)
    rows = table[table["scope"] == "cohort"].set_index("class")
    truth, called = classes(annotation, types)
    labelled = truth != ""
    bins = calibration(annotation, types=types, n_bins=n_bins)
    absent = pd.Series(called[labelled & ~np.isin(called, [*set(truth), UNKNOWN])]).value_counts()
    row = {
        "method": name,
        "status": "run",
        "n": int(labelled.sum()),
        "accuracy": rows.at["accuracy", "f1"],
        "accuracy_low": rows.at["accuracy", "ci_low"],
        "accuracy_high": rows.at["accuracy", "ci_high"],
        "unknown": float((called[labelled] == UNKNOWN).mean()),
        "ece": float((bins["n"] * (bins["confidence"] - bins["accuracy"]).abs()).sum() / bins["n"].sum()),
        "worst_absent": float(absent.iloc[0] / labelled.sum()) if len(absent) else 0.0,
    }
    if "macro" in rows.index:
        row |= {"macro_f1": rows.at["macro", "f1"], "macro_f1_low": rows.at["macro", "ci_low"]}
        row |= {"macro_f1_high": rows.at["macro", "ci_high"]}
    tiers = annotation[Obs.MALIGNANCY].to_numpy()[labelled]
    if (tiers != "").any():
        tumour = annotation[Obs.AUTHOR_CELL_TYPE].map(is_malignant).to_numpy(bool)[labelled]
        malignant = np.isin(tiers, MALIGNANT_TIERS)
        row["malignant_recall"] = float(malignant[tumour].mean()) if tumour.any() else np.nan
        row["malignant_false"] = float(malignant[~tumour].mean()) if (~tumour).any() else np.nan
    return row
