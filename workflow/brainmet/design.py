"""What a set of dataset files can answer, before anything is downloaded.

Reads what the dataset files say and nothing else. The estimator of each contrast and claim is found by the code that
will estimate it, on made-up values, so that this table cannot promise what the analysis then refuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from brainmet.bulk import BULK_PAIRED
from brainmet.claims.entries import design_of
from brainmet.claims.verdicts import untested
from brainmet.compare import compare
from brainmet.compare.coincidence import DIFFER_TOO, coinciding
from brainmet.compare.contrast import Contrast
from brainmet.compare.donors import PLATFORM, described
from brainmet.compare.estimators import NESTED, NOT_TESTABLE, POOLED, WITHIN, Design, DonorValues, strongest
from brainmet.compare.one_group import one_group
from brainmet.conditions import BRAIN_METASTASIS, PRIMARY
from brainmet.contract import BULK, LOG, Obs, Uns
from brainmet.core.tables import blank, columns
from brainmet.pseudobulk import COVARIATES, SUBTYPE
from brainmet.pseudobulk import described as sample_described

PAIRED_TISSUE = (BRAIN_METASTASIS, PRIMARY)
"""The two conditions that paired bulk tissue can be asked about."""
GROUPS = [Obs.STUDY, Obs.CONDITION, "primary_site", SUBTYPE, Uns.TECHNOLOGY, Uns.SUSPENSION, Uns.VALUES]


def donors(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Donors as the contrasts will see them: one row per study, platform, donor and condition.

    Args:
        records: sample records by id. Bulk tissue and log values never enter a contrast of cells and are left out.

    Returns:
        Index profile; `study, platform, donor, condition, n_samples` and covariates (`mixed` where samples differ).
    """
    samples = _samples(records)
    samples = samples[(samples[Uns.SUSPENSION] != BULK) & (samples[Uns.VALUES] != LOG)]
    frame, code = described(samples)
    return frame.assign(n_samples=np.bincount(code, minlength=len(frame)))


def cohort(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of `design_cohort.tsv`: donors and samples by study, condition, primary tumour, subtype and platform."""
    grouped = _samples(records).groupby(GROUPS, sort=True)
    return grouped.agg(n_samples=(Obs.SAMPLE, "nunique"), n_donors=(Obs.DONOR, "nunique")).reset_index()


def estimable(
    records: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    contrasts: Sequence[Contrast],
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
        One row per contrast and estimator, and one per claim; where nothing can be estimated `reason` says why.
    """
    everyone = donors(records)
    fast = replace(design, permutations=2)  # labels are not permuted for a table of possibilities
    rows = [row for contrast in contrasts for row in _rows("contrast", contrast.id, everyone, contrast, fast)]
    rows += [
        row
        for contrast in contrasts
        if contrast.groups == PAIRED_TISSUE and not contrast.where
        for row in _bulk(contrast, records, published, design)
    ]
    rows += [_claim(entry, everyone, fast) for entry in claims]
    table = pd.DataFrame(rows).sort_values("kind", ascending=False, kind="stable", ignore_index=True)
    return table[columns("design")]


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
        cells_per_sample: cells assumed per sample where a series does not say how many it holds.
        gb_base … seconds_per_1k_cells: see `config: design`.
    """
    cells, download = 0.0, 0.0
    for dataset in sorted({str(record[Obs.DATASET]) for record in records.values()}):
        said = published.get(dataset, {})
        of_dataset = [record for record in records.values() if record[Obs.DATASET] == dataset]
        if of_dataset[0][Uns.SUSPENSION] == BULK:
            continue
        number = said.get("cells") or cells_per_sample * len(of_dataset)
        cells += number
        download += said.get("gigabytes") or number / 1e5 * download_gb_per_100k_cells
    return {
        "cells": cells,
        "cores": float(sum(record[Uns.SUSPENSION] != BULK for record in records.values())),
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
    for dataset in sorted({str(record[Obs.DATASET]) for record in records.values()}):
        said = published.get(dataset, {}).get("donors") or {}
        of_dataset = [record for record in records.values() if record[Obs.DATASET] == dataset]
        listed = {
            condition: len({r[Obs.DONOR] for r in of_dataset if r[Obs.CONDITION] == condition}) for condition in said
        }
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
    """One row per sample: what its record says, `subtype`, and whether it is simulated."""
    names = [Obs.DATASET, Obs.STUDY, Obs.DONOR, Obs.CONDITION]
    rows = [
        {Obs.SAMPLE: id_} | {name: str(record[name]) for name in names} | sample_described(record)
        for id_, record in records.items()
    ]
    return pd.DataFrame(rows, columns=[Obs.SAMPLE, *names, *COVARIATES, SUBTYPE, Uns.SIMULATED])


def _made_up(donors: pd.DataFrame, contrast: Contrast, design: Design) -> DonorValues:
    """Values without an effect, so that every estimator that the donors allow runs and what it could detect is that of
    studies which agree and of pairs which do not go together: mean 0 and variance 1 in each group of a study, and
    no correlation between the groups of pairs."""

    def values(index: pd.Index) -> pd.DataFrame:
        value = pd.Series(0.0, index)
        for _, members in donors.loc[index].groupby([Obs.STUDY, PLATFORM]):
            sides = contrast.sides(members, min_donors=design.min_donors) if contrast.b else (members.index,)
            for quarter, side in enumerate(sides):
                turn = 2 * np.pi * (np.arange(len(side)) / len(side) + (0.5 + quarter) / 4)
                value[side] = np.sqrt(2 * (1 - 1 / max(len(side), 1))) * np.cos(turn)
        return value.to_frame("value")

    return DonorValues(pd.Index(["value"]), values)


def _rows(kind: str, id_: str, frame: pd.DataFrame, contrast: Contrast, design: Design) -> list[dict[str, Any]]:
    """One row per estimator and primary, the deciding one of each."""
    taking_part, _ = contrast.taking_part(frame)
    plain = contrast.of_conditions
    if taking_part.empty:
        nothing = "no samples with the conditions it compares"
        return [_row(kind, id_, contrast, design.primary_site, NOT_TESTABLE, reason=nothing)]
    if contrast.b:
        compared = compare(_made_up(taking_part, plain, design), taking_part, plain, design=design)
        deciding = compared[compared["study"] == POOLED].to_dict("records")
    else:  # Donors of one condition, each compared with itself.
        alone = one_group(_made_up(taking_part, plain, design), taking_part, plain, against=0.0, design=design)
        deciding = [{"primary_site": design.primary_site, **alone.to_dict()}]
    rows = []
    for entry in deciding:
        reason = entry.get("reason") if isinstance(entry.get("reason"), str) else ""
        if contrast.b and entry["estimator"] in (WITHIN, NESTED):
            same = coinciding(frame, contrast, entry, design=design)
            reason = DIFFER_TOO.format(", ".join(same)) if same else reason
        rows.append(
            _row(
                kind,
                id_,
                contrast,
                entry["primary_site"],
                entry["estimator"],
                n_a=int(entry["n_a"]),
                n_b=int(entry["n_b"]),
                n_studies=int(entry.get("n_studies", 0)),
                n_donors=int(entry["n_donors"]),
                effect=float(entry["effect"]),
                mde=float(entry.get("mde", np.nan)),
                studies=str(entry.get("studies", "")),
                reason=reason,
                design=entry["design"] if isinstance(entry.get("design"), str) else "",
            )
        )
    return rows


def _claim(entry: Mapping[str, Any], frame: pd.DataFrame, design: Design) -> dict[str, Any]:
    rows = _rows("claim", entry["id"], frame, Contrast.read(entry["comparison"]), design_of(entry, design))
    best = rows[strongest(pd.DataFrame(rows))]
    if barred := untested(best, entry):
        best |= {"estimator": barred[0], "mde": np.nan, "reason": barred[1]}
    return best


def _bulk(
    contrast: Contrast,
    records: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    design: Design,
) -> list[dict[str, Any]]:
    """Paired bulk cohorts by primary tumour: pairs among the listed samples, else as published."""
    rows = []
    samples = _samples(records)
    for dataset, of_dataset in samples[samples[Uns.SUSPENSION] == BULK].groupby(Obs.DATASET, sort=True):
        listed = _pairs(of_dataset)
        all_sites = ";".join(sorted(set(of_dataset["primary_site"])))
        said = {all_sites: int(published.get(str(dataset), {}).get("pairs", 0))}
        for site, pairs in (listed or said).items():
            if not pairs:
                continue
            row = _row("contrast", contrast.id, contrast, site, BULK_PAIRED, n_a=pairs, n_b=pairs, n_studies=1)
            row |= {
                "mde": paired_detectable(pairs, power=design.power, alpha=design.alpha),
                "studies": str(dataset),
                "reason": "tissue, not tumour cells: shown beside, never pooled"
                + ("" if listed else "; pairs as published"),
            }
            rows.append(row)
    return rows


def _pairs(samples: pd.DataFrame) -> dict[str, int]:
    """Donors with both conditions of paired tissue, by primary tumour; a tumour without such donors is left out."""
    tissue = samples[samples[Obs.CONDITION].isin(PAIRED_TISSUE)]
    both = tissue.groupby(["primary_site", Obs.DONOR])[Obs.CONDITION].nunique() == len(PAIRED_TISSUE)
    return {str(site): int(n) for site, n in both.groupby(level=0).sum().items() if n}


def paired_detectable(pairs: int, *, power: float, alpha: float) -> float:
    """Smallest mean difference, in standard deviations of the differences, that a paired t test of `pairs` finds."""
    from statsmodels.stats.power import TTestPower

    if pairs < 3:
        return float("nan")
    return float(TTestPower().solve_power(nobs=pairs, alpha=alpha, power=power, alternative="two-sided"))


def _row(kind: str, id_: str, contrast: Contrast, site: str, estimator: str, **known: Any) -> dict[str, Any]:
    """A row of the table, and what decides between rows: `n_donors, effect`."""
    row = {"kind": kind, "id": id_, "a": contrast.a, "b": contrast.b, "estimator": estimator, "primary_site": site}
    return blank("design") | {"n_donors": 0, "effect": np.nan} | row | known
