"""Claims: published statements, each with what was measured for it here and a verdict.

A claim is an entry of `resources/claims/claims.yaml` (`workflow/schemas/claim.schema.yaml`): a readout in a
compartment, two groups of donors, and the direction the statement gives or the bound within which it says nothing
changes. Each is one test on donors, by the same code as the contrasts; p values are adjusted over the claims that
could be tested.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from brainmet import effects
from brainmet.compare import CONFOUNDED, NESTED, NOT_TESTABLE, POOLED, REFUSED, TRANSFER, WITHIN, Design, contrast
from brainmet.contract import Obs
from brainmet.documents import read_yaml
from brainmet.errors import BrainmetError
from brainmet.readouts import Reader, Readout, relabelled
from brainmet.tables import columns, empty
from brainmet.validate import validate

log = logging.getLogger(__name__)

SCHEMA = Path(__file__).parent.parent / "schemas" / "claim.schema.yaml"
RANK = {TRANSFER: 0, NESTED: 1, WITHIN: 2}
"""Estimators, weakest first: a claim names the weakest it may rest on."""

PAIRED = "paired"
_MEASURED = (
    *("estimator", "effect", "ci_low", "ci_high", "p", "p_perm", "p_perm_min"),
    *("mde", "n_studies", "reason", "simulated", "design"),
)


def load(files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Claims of several files, in order.

    Raises:
        BrainmetError: a file is malformed, or an id appears twice.
    """
    claims: list[dict[str, Any]] = []
    for file in files:
        path = Path(file)
        if not path.is_file():
            raise BrainmetError(
                f"{path}: no such file; correct claims.files (paths are relative to the working directory)"
            )
        try:
            document = read_yaml(path)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BrainmetError(f"{path}: is not YAML ({' '.join(str(error).split())}); correct it") from error
        validate(document, read_yaml(SCHEMA), name=path.name)
        known = {claim["id"] for claim in claims}
        if twice := [claim["id"] for claim in document["claims"] if claim["id"] in known]:
            raise BrainmetError(f"{path}: the claim {twice[0]} is already defined; rename one of them")
        claims += document["claims"]
    return claims


def claims(entries: Sequence[Mapping[str, Any]], reader: Reader, *, design: Design, bound: float) -> pd.DataFrame:
    """Rows of `claims.tsv`, in the order of the entries.

    Args:
        entries: as `load` returns them.
        reader: measures the readouts.
        bound: Hedges' g within which a statement of no difference holds, where the claim gives no bound of its own.
    """
    rows = [evaluate(entry, reader, design=design) for entry in entries]
    if not rows:
        return empty("claims")
    table = pd.DataFrame(rows)
    tested = table["estimator"].isin(list(RANK))
    table["fdr"] = np.nan
    table["fdr_clean"] = np.nan
    for p, adjusted in (("p", "fdr"), ("p_clean", "fdr_clean")):
        table.loc[tested, adjusted] = effects.fdr(table.loc[tested, p].to_numpy(float))
    judged = [
        verdict(row, entry, design=design, bound=entry.get("bound", bound))
        for row, entry in zip(table.to_dict("records"), entries, strict=True)
    ]
    table["verdict"], table["reason"] = zip(*judged, strict=True)
    return table[columns("claims")]


def evaluate(entry: Mapping[str, Any], reader: Reader, *, design: Design) -> dict[str, Any]:
    """What was measured for one claim: the deciding row of its contrast."""
    comparison = entry["comparison"]
    row: dict[str, Any] = {
        "claim": entry["id"],
        "statement": entry["statement"],
        "reference": reference(entry["reference"]),
        "readout": describe(entry["readout"]),
        "compartment": entry["compartment"],
        "comparison": comparison["id"],
        "expected": entry["direction"],
        "caveat": entry.get("caveat", ""),
        "estimator": NOT_TESTABLE,
        "effect": np.nan,
        "ci_low": np.nan,
        "ci_high": np.nan,
        "p": np.nan,
        "p_perm": np.nan,
        "p_perm_min": np.nan,
        "mde": np.nan,
        "n_donors": 0,
        "n_studies": 0,
        "coverage": np.nan,
        "simulated": False,
        "datasets": "",
        "design": "",
        "effect_clean": np.nan,
        "p_clean": np.nan,
        "controlled": False,
    }
    readout = reader.readout(entry)
    if readout.reason:
        return row | {"reason": readout.reason}
    best = deciding(readout, entry, design=design)
    used = readout.donors[readout.donors[Obs.STUDY].isin(str(best["studies"]).split(";"))]
    row |= {name: best[name] for name in _MEASURED if name in best.index}
    if not np.isfinite(row["effect"]) and (why := readout.why()):
        row["reason"] = why
    control = reader.control(entry)
    if control is not None and not control.reason and row["estimator"] in RANK:
        clean = deciding(control, entry, design=design)
        row |= {
            "effect_clean": clean["effect"],
            "p_clean": clean["p"] if "p" in clean.index else np.nan,
            "controlled": True,
        }
    row |= {
        "n_donors": int(best["n_a"] + best["n_b"]),
        "coverage": readout.coverage(),
        "datasets": ";".join(sorted(set(used[Obs.DATASET]))),
    }
    return row


def deciding(readout: Readout, entry: Mapping[str, Any], *, design: Design) -> pd.Series:
    """The pooled row of the strongest estimator that the donors allow."""
    comparison = entry["comparison"]
    own = replace(
        design,
        min_donors=entry.get("min_donors", design.min_donors),
        primary_site=comparison.get("site", design.primary_site),
    )
    rows = contrast(readout.values, relabelled(readout.donors, comparison), comparison, design=own)
    pooled = rows[rows["study"] == POOLED]
    rank = pooled["estimator"].map(RANK).fillna(-1).astype(int)
    return pooled.loc[rank.sort_values(kind="stable").index[-1]]


def verdict(row: Mapping[str, Any], entry: Mapping[str, Any], *, design: Design, bound: float) -> tuple[str, str]:
    """Verdict and the sentence why.

    A direction is supported or contradicted when the adjusted p is below alpha, and the permutation p too wherever
    the donors are enough for it to get there. A statement of no difference is tested against its bound (two
    one-sided tests).
    """
    state, reason = row["estimator"], str(row.get("reason") or "")
    if PAIRED in entry.get("requires", []) and state in RANK and row["design"] != PAIRED:
        return "not_testable", "no patients sampled at both sites: donors of the two arms differ in subtype"
    if state in (NOT_TESTABLE, REFUSED) or (state in RANK and not np.isfinite(row["effect"])):
        return "not_testable", reason or "the readout cannot be scored in these donors"
    if state == CONFOUNDED:
        return "confounded", reason
    floor = entry.get("estimator_min", NESTED)
    if RANK[state] < RANK[floor]:
        return "not_testable", f"only an estimate by {state} is possible; the statement needs {floor} or better"
    sources, used = set(entry.get("derived_from", [])), set(str(row["datasets"]).split(";"))
    decided = row["fdr"] < design.alpha and (row["p_perm_min"] > design.alpha or not row["p_perm"] >= design.alpha)
    sign = {"up": 1, "down": -1, "none": 0}[entry["direction"]]
    interval = f"g {row['effect']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
    found = f"{interval}, FDR {row['fdr']:.2g}, {row['n_donors']} donors"
    positive = "recovered" if row["simulated"] else "supported"
    if decided and row["controlled"]:
        same = np.sign(row["effect_clean"]) == np.sign(row["effect"])
        if not (same and row["fdr_clean"] < design.alpha):
            left = f"g {row['effect_clean']:.2f}, FDR {row['fdr_clean']:.2g}"
            return "inconclusive", f"{found}; without what ambient RNA of the samples' other cells can explain, {left}"
    if sign == 0:
        if within_bound(row, bound):
            return _sourced("equivalent", sources, used), f"{found}: inside ±{bound:g} at 90 %"
        if decided and (row["ci_low"] > bound or row["ci_high"] < -bound):
            return "contradicted", f"{found}: outside ±{bound:g}, where the statement has no difference"
        return "inconclusive", f"{found}; ±{bound:g} is neither shown nor excluded; detectable g {row['mde']:.2f}"
    if decided and np.sign(row["effect"]) == sign:
        return _sourced(positive, sources, used), f"{found}, as the statement says"
    if decided:
        return "contradicted", f"{found}, against the statement"
    return "inconclusive", f"{found}; detectable g {row['mde']:.2f} at {design.power:.0%} power"


def within_bound(row: Mapping[str, Any], bound: float) -> bool:
    """Two one-sided tests at 5 %: the 90 % interval, the 95 % one narrowed by the ratio of normal quantiles, is
    inside ±bound."""
    half = (row["ci_high"] - row["ci_low"]) / 2 * 1.6449 / 1.9600
    return bool(abs(row["effect"]) + half < bound)


def _sourced(verdict: str, sources: set[str], used: set[str]) -> str:
    """A claim cannot be confirmed by the data it came from."""
    return "reproduced_in_source" if sources and used <= sources else verdict


def reference(entry: Mapping[str, str]) -> str:
    """`text (doi or pmid)`."""
    found = [f"{key}:{entry[key]}" for key in ("doi", "pmid", "pmcid") if entry.get(key)]
    return f"{entry['text']} ({', '.join(found)})" if found else entry["text"]


def describe(readout: Mapping[str, Any]) -> str:
    """The readout in words."""
    if "share" in readout:
        return f"share of {', '.join(readout['share']['of'])} among {', '.join(readout['share']['among'])}"
    what = readout.get("signature") or readout.get("gene") or " + ".join(readout.get("mean", []))
    return f"{what} minus that of {', '.join(readout['minus'])}" if readout.get("minus") else str(what)
