"""Figures of how far the calls agree with the authors' labels."""

from typing import Any

import pandas as pd

from brainmet.contract import UNKNOWN
from brainmet.report.figure import Figure, Variant, axis, clean, heat_map, interval_bars, reversed_axis, rows_high
from brainmet.report.palette import ACCENT, MUTED, SEQUENTIAL, WARN
from brainmet.report.wording import words


def confusion(table: pd.DataFrame) -> Figure:
    """Authors' classes against ours, as shares of the authors' class."""
    variants = []
    if len(table):
        counts = table.pivot_table(index="truth", columns="called", values="n", aggfunc="sum", fill_value=0)
        order = [
            *[c for c in counts.index if c in counts.columns],
            *[c for c in counts.columns if c not in counts.index and c != UNKNOWN],
        ]
        counts = counts.reindex(columns=[*order, *([UNKNOWN] if UNKNOWN in counts else [])], fill_value=0)
        share = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)

        def text(theirs: str, ours: str) -> str:
            n, part = counts.loc[theirs, ours], share.loc[theirs, ours]
            return f"authors: {words(theirs)}<br>called: {words(ours)}<br>{n} cells, {part:.1%}"

        trace = heat_map(
            share,
            scale=SEQUENTIAL,
            label="share of authors' class",
            limit=(0, 1),
            row_name=words,
            column_name=words,
            text=text,
        )
        layout = {
            "height": rows_high(len(share), row=30, frame=150),
            "yaxis": reversed_axis(title={"text": "authors"}),
            "xaxis": axis("called here", type="category", tickangle=-45, automargin=True),
        }
        variants = [Variant("", [trace], layout, table)]
    return Figure(
        id="agreement-confusion",
        title="The authors' labels beside ours",
        source="confusion.tsv",
        caption="Cells with an author's label, by the authors' coarse class (rows add up to 1) and ours. The "
        "diagonal is agreement.",
        empty="No sample comes with labels of its authors, so there is no confusion matrix.",
        variants=variants,
    )


def classes(table: pd.DataFrame) -> Figure:
    """F1 by coarse class against the authors' labels, with its interval."""
    rows = table[(table["scope"] == "cohort") & ~table["class"].isin(["accuracy", "macro", "malignant"])]
    names = list(rows["class"].map(words))
    data = []
    for key, name, colour, symbol in (
        ("precision", "precision", MUTED, "triangle-left"),
        ("recall", "recall", WARN, "triangle-right"),
        ("f1", "F1", ACCENT, "circle"),
    ):
        trace = {
            "type": "scatter",
            "mode": "markers",
            "y": names,
            "x": clean(rows[key]),
            "name": name,
            "marker": {"color": colour, "symbol": symbol, "size": 9},
            "customdata": clean(rows["n"]),
            "hovertemplate": "%{y}<br>" + name + " %{x:.3f} (n = %{customdata})<extra></extra>",
        }
        data.append(
            trace | ({"error_x": interval_bars(rows["f1"], rows["ci_low"], rows["ci_high"])} if key == "f1" else {})
        )
    layout = {"height": rows_high(len(rows), row=26), "xaxis": axis("share", range=[0, 1.02]), "yaxis": reversed_axis()}
    return Figure(
        id="agreement-classes",
        title="Agreement with the authors, class by class",
        source="concordance.tsv",
        caption="Precision, recall and F1 of brainmet's calls in coarse classes, with the authors' labels taken as the "
        "truth; bars: 95% interval of F1 by bootstrap over cells.",
        empty="No sample comes with labels of its authors, so agreement cannot be measured.",
        variants=[Variant("", data, layout, rows)] if len(rows) else [],
    )


def calibration(table: pd.DataFrame) -> Figure:
    """Confidence against accuracy."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "name": "perfect",
            "line": {"color": MUTED, "dash": "dot", "width": 1},
        },
        {
            "type": "scatter",
            "mode": "markers+lines",
            "x": clean(table["confidence"]),
            "y": clean(table["accuracy"]),
            "name": f"cells in {len(table)} bins",
            "marker": {"size": 8, "color": ACCENT},
            "line": {"color": ACCENT, "width": 1.2},
            "customdata": clean(table["n"]),
            "hovertemplate": "confidence %{x:.2f}<br>right %{y:.2f}<br>%{customdata} cells<extra></extra>",
        },
    ]
    layout = {
        "height": 340,
        "xaxis": axis("mean confidence", range=[0, 1.02]),
        "yaxis": axis("share right", range=[0, 1.02]),
    }
    return Figure(
        id="agreement-calibration",
        title="Is the confidence calibrated?",
        source="calibration.tsv",
        caption="Labelled cells in bins of equal size by the confidence of their class: on the dotted line "
        "confidence equals the share called as the authors did.",
        empty="No sample comes with labels of its authors, so confidence cannot be checked.",
        variants=[Variant("", data, layout, table)] if len(table) else [],
    )


_SCOPED = {"accuracy": "recall", "macro": "f1", "malignant": "f1"}
"""Rows of a scope that speak of all its classes, and the column that holds the number."""


def by_scope(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Agreement of the cohort and of each sample: `scope, n, accuracy, macro, malignant`, those that are known."""
    rows: dict[str, dict[str, Any]] = {}
    for row in table[table["class"].isin(_SCOPED)].to_dict("records"):
        scope = rows.setdefault(row["scope"], {"scope": row["scope"], "n": 0})
        scope[row["class"]] = row[_SCOPED[row["class"]]]
        scope["n"] = max(scope["n"], row["n"])
    return list(rows.values())
