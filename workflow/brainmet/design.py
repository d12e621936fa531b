"""What a set of dataset files can answer, before anything is downloaded.

Reads what the dataset files say and nothing else. The estimator of each contrast and claim is found by the code that
will estimate it, on made-up values, so that this table cannot promise what the analysis then refuses.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from brainmet.claims.readouts import relabelled
from brainmet.compare import contrast
from brainmet.compare.donors import PLATFORM, platforms
from brainmet.compare.estimators import NESTED, NOT_TESTABLE, POOLED, TRANSFER, WITHIN, Design, Values, arms_of
from brainmet.compare.one_group import one_group
from brainmet.conditions import BRAIN_METASTASIS, PRIMARY
from brainmet.contract import UNKNOWN, Obs, Uns
from brainmet.pseudobulk import subtype

log = logging.getLogger(__name__)

BULK = "bulk"
BULK_PAIRED = "bulk_paired"
RANK = {TRANSFER: 0, NESTED: 1, WITHIN: 2}
ARMS = (BRAIN_METASTASIS, PRIMARY)
"""The two conditions that paired bulk tissue can be asked about."""
GROUPS = ["study", "condition", "primary_site", "subtype", "technology", "suspension", "values"]
COVARIATES = [
    "dataset",
    "primary_site",
    "subtype",
    "technology",
    "suspension",
    "values",
    "enrichment",
    "dissociation",
    Uns.ORGANISM,
    Uns.SIMULATED,
]


def donors(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Donors as the contrasts will see them: one row a study, platform, donor and condition.

    Args:
        records: sample records by id. Bulk tissue and log values never enter a contrast of cells and are left out.

    Returns:
        Index profile; `study, platform, donor, condition, n_samples` and covariates (`mixed` where samples differ).
    """
    samples = _samples(records)
    samples = samples[(samples["suspension"] != BULK) & (samples["values"] != "log")]
    samples = samples.assign(**{PLATFORM: platforms(samples)})
    keys = [Obs.STUDY, PLATFORM, Obs.DONOR, Obs.CONDITION]
    grouped = samples.groupby(keys, sort=True)
    frame = grouped.size().rename("n_samples").reset_index()
    for name in COVARIATES:
        frame[name] = grouped[name].agg(_common).to_numpy()
    frame.index = pd.Index(frame[keys].agg("|".join, axis=1), name="profile", dtype=object)
    return frame


def cohort(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of `design_cohort.tsv`: donors and samples by study, condition, primary tumour, subtype and platform."""
    grouped = _samples(records).groupby(GROUPS, sort=True)
    return grouped.agg(n_samples=("sample", "nunique"), n_donors=("donor", "nunique")).reset_index()


def estimable(
    records: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    contrasts: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]],
    *,
    design: Design,
) -> pd.DataFrame:
    """Rows of `design.tsv`: what can be estimated, by which estimator, and how large an effect must be to be seen.

    Args:
        records: sample records by id.
        published: the `published` section of dataset files by id, for the pairs of bulk cohorts.
        contrasts: `compare: contrasts` of the configuration.
        claims: entries of `resources/claims/`.
        design: as for the contrasts themselves.

    Returns:
        A row a contrast and estimator, and a row a claim; where nothing can be estimated `reason` says why.
    """
    own = donors(records)
    fast = replace(design, permutations=2)  # labels are not permuted for a table of possibilities
    rows = [row for arms in contrasts for row in _rows("contrast", arms["id"], own, arms, fast)]
    rows += [
        row
        for arms in contrasts
        if (arms["a"], arms["b"]) == ARMS and "where" not in arms
        for row in _bulk(arms, records, published, design)
    ]
    rows += [_claim(entry, own, fast) for entry in claims]
    return pd.DataFrame(rows).sort_values("kind", ascending=False, kind="stable", ignore_index=True)


def cost(
    records: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    *,
    cells_per_sample: int,
    gb_base: float,
    gb_per_100k_cells: float,
    disk_gb_per_100k_cells: float,
    download_gb_per_100k_cells: float,
    seconds_per_1k_cells: float,
) -> dict[str, float]:
    """Rough size of a run: cells, cores that can be busy, memory of the largest job, disk, and hours on one core.

    Args:
        records, published: as for `estimable`.
        cells_per_sample: cells assumed a sample where a series does not say how many it holds.
        gb_base … seconds_per_1k_cells: see `config: design`.
    """
    cells, download = 0.0, 0.0
    for dataset in sorted({str(record["dataset"]) for record in records.values()}):
        said = published.get(dataset, {})
        own = [record for record in records.values() if record["dataset"] == dataset]
        if own[0]["suspension"] == BULK:
            continue
        number = said.get("cells") or cells_per_sample * len(own)
        cells += number
        download += said.get("gigabytes") or number / 1e5 * download_gb_per_100k_cells
    return {
        "cells": cells,
        "cores": float(sum(record["suspension"] != BULK for record in records.values())),
        "memory_gb": gb_base + cells / 1e5 * gb_per_100k_cells,
        "download_gb": download,
        "disk_gb": download + cells / 1e5 * disk_gb_per_100k_cells,
        "core_hours": cells / 1e3 * seconds_per_1k_cells / 3600,
    }


def unlisted(
    records: Mapping[str, Mapping[str, Any]], published: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, int]]:
    """Published donors by condition of the datasets whose files list fewer of them: what stands above for them is less
    than what they hold."""
    found = {}
    for dataset in sorted({str(record["dataset"]) for record in records.values()}):
        said = published.get(dataset, {}).get("donors") or {}
        own = [record for record in records.values() if record["dataset"] == dataset]
        listed = {condition: len({r["donor"] for r in own if r["condition"] == condition}) for condition in said}
        if any(number > listed[condition] for condition, number in said.items()):
            found[dataset] = said
    return found


def text(
    table: pd.DataFrame,
    groups: pd.DataFrame,
    size: Mapping[str, float],
    more: Mapping[str, Mapping[str, int]] | None = None,
) -> str:
    """The design for a terminal.

    Args:
        table, groups, size: as `estimable`, `cohort` and `cost` return them.
        more: as `unlisted` returns it.
    """
    shown = table.assign(detectable=table["mde"].map(lambda g: f"{g:.2f}" if np.isfinite(g) else "-"))
    shown = shown[["kind", "id", "estimator", "primary_site", "n_a", "n_b", "n_studies", "detectable", "reason"]]
    counts = shown.loc[shown["kind"] == "claim", "estimator"].value_counts()
    told = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
    hours = size["core_hours"]
    duration = f"{hours:.1f} hours" if hours >= 1 else f"{max(1, round(60 * hours))} minutes"
    return "\n".join(
        [
            "Donors by study, condition and subtype",
            groups.to_string(index=False),
            *_more(more or {}),
            "",
            "What can be estimated (detectable: smallest Hedges' g found with the configured power)",
            shown.to_string(index=False, max_colwidth=90),
            "",
            f"Claims: {told or 'none'}",
            f"Size, roughly: {size['cells']:,.0f} cells; up to {size['cores']:.0f} cores busy; "
            f"{size['memory_gb']:.1f} GB for the largest job; {size['disk_gb']:.1f} GB of disk, "
            f"{size['download_gb']:.1f} of them downloads; {duration} of one core",
            "",
        ]
    )


def _more(published: Mapping[str, Mapping[str, int]]) -> list[str]:
    if not published:
        return []
    rows = [
        f"  {dataset}: {', '.join(f'{number} {condition}' for condition, number in donors.items())}"
        for dataset, donors in published.items()
    ]
    why = "Published with more donors than their dataset files list (their comments say why, and how to list them)"
    return ["", why, *rows]


def _samples(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    names = [
        "dataset",
        "study",
        "donor",
        *GROUPS[1:3],
        "technology",
        "suspension",
        "values",
        "enrichment",
        "dissociation",
        Uns.ORGANISM,
    ]
    rows = [
        {name: str(record.get(name, UNKNOWN)) for name in names}
        | {
            "sample": id_,
            "subtype": subtype(*(str(record.get(name, UNKNOWN)) for name in ("er", "pr", "her2"))),
            Uns.SIMULATED: bool(record.get("simulated", False)),
        }
        for id_, record in records.items()
    ]
    return pd.DataFrame(rows, columns=[*names, "sample", "subtype", Uns.SIMULATED])


def _common(values: pd.Series) -> object:
    first = values.iloc[0]
    return first if (values == first).all() else "mixed"


def _made_up(donors: pd.DataFrame, arms: Mapping[str, Any], design: Design) -> Values:
    """Values without an effect, so that every estimator that the donors allow runs and what it could detect is that of
    studies which agree and of pairs which do not go together: mean 0 and variance 1 in each arm of a study, and no
    correlation between the arms of pairs."""

    def values(index: pd.Index) -> pd.DataFrame:
        value = pd.Series(0.0, index)
        for _, members in donors.loc[index].groupby([Obs.STUDY, PLATFORM]):
            sides = arms_of(members, arms, design) if "b" in arms else (members.index,)
            for quarter, side in enumerate(sides):
                turn = 2 * np.pi * (np.arange(len(side)) / len(side) + (0.5 + quarter) / 4)
                value[side] = np.sqrt(2 * (1 - 1 / max(len(side), 1))) * np.cos(turn)
        return value.to_frame("value")

    return values


def _rows(kind: str, id_: str, frame: pd.DataFrame, arms: Mapping[str, Any], design: Design) -> list[dict[str, Any]]:
    """One row an estimator and primary, the deciding one of each."""
    # A claim's groups may be other columns; a contrast's are conditions, of the tumours that it asks for.
    own = relabelled(frame, arms)[0] if kind == "claim" else frame
    keys = ["id", "a", "b"] if kind == "claim" else list(arms)
    if own.empty:
        return [
            _row(
                kind, id_, arms, design.primary_site, NOT_TESTABLE, reason="no samples with the conditions it compares"
            )
        ]
    if "b" in arms:
        found = contrast(_made_up(own, arms, design), own, {key: arms[key] for key in keys}, design=design)
        deciding = found[found["study"] == POOLED].to_dict("records")
    else:  # Donors of one condition, each compared with itself.
        alone = one_group(_made_up(own, arms, design), own, arms, against=0.0, design=design)
        deciding = [{"primary_site": design.primary_site, **alone.to_dict()}]
    rows = []
    for entry in deciding:
        reason = entry.get("reason")
        rows.append(
            _row(
                kind,
                id_,
                arms,
                entry["primary_site"],
                entry["estimator"],
                n_a=int(entry["n_a"]),
                n_b=int(entry["n_b"]),
                n_studies=int(entry.get("n_studies", 0)),
                mde=float(entry.get("mde", np.nan)),
                studies=str(entry.get("studies", "")),
                reason=reason if isinstance(reason, str) else "",
                design=entry["design"] if isinstance(entry.get("design"), str) else "",
            )
        )
    return rows


def _claim(entry: Mapping[str, Any], frame: pd.DataFrame, design: Design) -> dict[str, Any]:
    arms = entry["comparison"]
    asked = replace(
        design,
        min_donors=entry.get("min_donors", design.min_donors),
        primary_site=arms.get("site", design.primary_site),
    )
    rows = _rows("claim", entry["id"], frame, arms, asked)
    best = max(rows, key=lambda row: RANK.get(row["estimator"], -1))
    if best["estimator"] in RANK:
        floor = entry.get("estimator_min", NESTED if "b" in arms else TRANSFER)
        if RANK[best["estimator"]] < RANK[floor]:
            best |= {"reason": f"only by {best['estimator']}; the claim needs {floor} or better"}
        if "paired" in entry.get("requires", []) and best["design"] != "paired":
            best |= {"estimator": NOT_TESTABLE, "mde": np.nan, "reason": "no patients sampled at both sites"}
    return best


def _bulk(
    arms: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    design: Design,
) -> list[dict[str, Any]]:
    """Paired bulk cohorts: pairs among the listed samples, else as published."""
    rows = []
    samples = _samples(records)
    for dataset, own in samples[samples["suspension"] == BULK].groupby("dataset", sort=True):
        sites = own.groupby("donor")["condition"].agg(set)
        listed = int(sum(set(ARMS) <= found for found in sites))
        pairs = listed or int(published.get(str(dataset), {}).get("pairs", 0))
        if not pairs:
            continue
        row = _row("contrast", arms["id"], arms, design.primary_site, BULK_PAIRED, n_a=pairs, n_b=pairs, n_studies=1)
        row |= {
            "mde": paired_detectable(pairs, power=design.power, alpha=design.alpha),
            "studies": str(dataset),
            "reason": "tissue, not tumour cells: shown beside, never pooled"
            + ("" if listed else "; pairs as published"),
        }
        rows.append(row)
    return rows


def paired_detectable(pairs: int, *, power: float, alpha: float) -> float:
    """Smallest mean difference, in standard deviations of the differences, that a paired t test of `pairs` finds."""
    from statsmodels.stats.power import TTestPower

    if pairs < 3:
        return float("nan")
    return float(TTestPower().solve_power(nobs=pairs, alpha=alpha, power=power, alternative="two-sided"))


def _row(kind: str, id_: str, arms: Mapping[str, Any], site: str, estimator: str, **known: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": id_,
        "a": arms["a"],
        "b": arms.get("b", ""),
        "estimator": estimator,
        "primary_site": site,
        "n_a": 0,
        "n_b": 0,
        "n_studies": 0,
        "mde": float("nan"),
        "design": "",
        "studies": "",
        "reason": "",
    } | known
