"""Small tables that stand in the text of the page: cells are words, ready to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from brainmet.contract import Null
from brainmet.report.wording import compartment_words, contrast_words, prose, words

LEADING = 14
"""Genes of a programme that the page names."""


class Column(NamedTuple):
    """A column: its heading, and how its cells look: `head`, `num`, `genes` or as text."""

    title: str
    look: str = ""


class Chip(NamedTuple):
    """A coloured word."""

    verdict: str
    text: str


Cell = str | Chip


@dataclass(frozen=True)
class TextTable:
    """A table of words.

    Attributes:
        title: its heading.
        label: what it is, for those who do not see it.
        columns: headings and looks; without headings the table has no head.
        rows: cells by row.
        folded: further rows behind `summary`.
        summary: what unfolds them.
        empty: the sentence that stands instead of a table without rows; without one, nothing does.
    """

    title: str
    label: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    folded: Sequence[Sequence[Cell]] = field(default=())
    summary: str = ""
    empty: str = ""


def number(value: Any, pattern: str) -> str:
    """A number by a format; a dash for a missing one."""
    return "–" if value is None or pd.isna(value) else pattern.format(value)


def agreement(rows: Sequence[Mapping[str, Any]]) -> TextTable:
    """Agreement with the authors: the cohort, and its samples folded away."""
    cells = [
        [row["scope"], f"{row['n']:,}", *(number(row.get(k), "{:.3f}") for k in ("accuracy", "macro", "malignant"))]
        for row in rows
    ]
    return TextTable(
        "Agreement in numbers",
        "Agreement with the authors",
        (
            Column("Scope", "head"),
            Column("Labelled cells", "num"),
            Column("Accuracy", "num"),
            Column("Macro-F1", "num"),
            Column("Malignant, balanced accuracy", "num"),
        ),
        cells[:1],
        cells[1:],
        "sample by sample",
    )


def reasons(table: pd.DataFrame) -> TextTable:
    """Why cells stayed unknown: `reason, n_cells`."""
    return TextTable(
        "Why cells stayed unknown",
        "Reasons for unknown cells",
        (Column("Cells", "num"), Column("Reason given")),
        [[f"{row['n_cells']:,}", prose(row["reason"])] for row in table.to_dict("records")],
    )


def clusters(table: pd.DataFrame) -> TextTable:
    """What each cluster is, as `identity.clusters` tells it."""
    return TextTable(
        "What each cluster is",
        "Clusters",
        (
            Column("Cluster", "head"),
            Column("Cells", "num"),
            Column("Called"),
            Column("Markers that its cells show, share of cells", "genes"),
            Column("Samples (share of the largest)", "num"),
            Column("Malignant", "num"),
            Column("Median confidence", "num"),
        ),
        [
            [
                row["cluster"],
                f"{row['n_cells']:,}",
                row["cell_types"],
                row["genes"],
                f"{row['n_samples']} ({row['share_of_largest_sample']:.0%})",
                f"{row['malignant_share']:.0%}",
                f"{row['median_confidence']:.2f}",
            ]
            for row in table.to_dict("records")
        ],
    )


def programmes(table: pd.DataFrame, names: Mapping[str, str]) -> TextTable:
    """Recurrent programmes with their leading genes and the signature that is nearest to each."""
    return TextTable(
        "Recurrent programmes of malignant cells",
        "Table of programmes",
        (
            Column("Programme", "head"),
            Column("Donors", "num"),
            Column("Leading genes", "genes"),
            Column("Nearest signature"),
            Column("FDR", "num"),
            Column("Correlation with depth", "num"),
        ),
        [
            [
                row["programme"],
                str(row["n_donors"]),
                ", ".join(row["genes"].split(";")[:LEADING]),
                names.get(row["signature"], words(row["signature"])),
                number(row["fdr"], "{:.2g}"),
                number(row["depth_rho"], "{:.2f}"),
            ]
            for row in table.to_dict("records")
        ],
        empty="No programme returned in enough donors, or too few donors have enough malignant cells.",
    )


def nulls(table: pd.DataFrame) -> TextTable:
    """What the tests find where there is nothing to find (`nulls.tsv`)."""
    return TextTable(
        "What the tests find when there is nothing to find",
        "Nulls",
        (
            Column("Null", "head"),
            Column("Runs", "num"),
            Column("Tests", "num"),
            Column("p below 0.05", "num"),
            Column("Runs with a discovery", "num"),
            Column("Chance allows", "num"),
            Column("Reading"),
        ),
        [
            [
                _null(row),
                str(row["n_runs"]),
                f"{row['n_tests']:,}",
                number(row["share_p05"], "{:.1%}"),
                str(row["runs_with_discovery"]),
                str(row["most_expected"]),
                Chip("contradicted", "more than chance") if row["exceeded"] else Chip("supported", "as chance"),
            ]
            for row in table.to_dict("records")
        ],
        empty="No test could be run, so there are no nulls.",
    )


def _null(row: Mapping[str, Any]) -> str:
    if row["null"] == Null.LABELS:
        return "permuted labels of donors"
    cleaned = ", less ambient RNA" if row["profiles"] == Null.LESS_AMBIENT else ""
    return f"random sets in {compartment_words(row['compartment'])}{cleaned}"


def not_tested(table: pd.DataFrame) -> TextTable:
    """Contrasts that were not tested, as `comparison.not_tested` tells it."""
    return TextTable(
        "Not tested, and why",
        "Contrasts not tested",
        (Column("Contrast"), Column("Outcome"), Column("Tests", "num"), Column("Reason")),
        [
            [
                contrast_words(row["contrast"]),
                Chip(row["estimator"], words(row["estimator"])),
                str(row["n_tests"]),
                prose(row["reason"]),
            ]
            for row in table.to_dict("records")
        ],
    )


def recovery(table: pd.DataFrame) -> TextTable:
    """What came back of planted shifts, traps and claims, as `record.outcomes` tells it."""
    return TextTable(
        "Planted shifts, traps and claims",
        "Recovery of shifts and claims",
        (Column("Step"), Column("Measure", "head"), Column("Value", "num"), Column("Of", "num"), Column("Compared")),
        [
            [words(row["step"]), words(row["metric"]), number(row["value"], "{:.3g}"), str(row["n"]), row["note"]]
            for row in table.to_dict("records")
        ],
    )
