"""Figures of how cells live together and what could be aimed at: crosstalk, druggability, programmes, models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brainmet.contract import Compartment
from brainmet.report.figure import BAR, Figure, Variant, axis, clean, heat_map, reversed_axis, rows_high
from brainmet.report.palette import ACCENT, DIVERGING, MUTED, SEQUENTIAL, in_order
from brainmet.report.wording import axis_words, compartment_words, words

MOST_AXES = 40
"""Axes that one list of the figure holds."""


def crosstalk(table: pd.DataFrame) -> Figure:
    """By group of axes: axes × conditions; size by donors' significance, colour by score."""
    tested = table[table["median_score"].notna()]
    groups = [("all axes, strongest", tested)] if len(tested) else []
    groups += [(words(str(group)), rows) for group, rows in tested.groupby("axis_group", sort=True)]
    return Figure(
        id="crosstalk-axes",
        title="Crosstalk between cell types",
        choose="Axes",
        source="crosstalk_summary.tsv",
        caption="Curated axes of sender and receiver by condition. Colour: median over donors of the axis' "
        "score (the geometric mean of ligand and receptor, log1p of counts per ten thousand; for mechanisms that are "
        "not ligand–receptor pairs, the log ratio of the weaker side to the other cell types); size: share of donors "
        "in which it stands out from random genes of the same expression. Expression of a pair is a chance to talk, "
        "not proof that the cells do.",
        empty="No axis could be read: no sample holds enough cells of a sender and its receiver.",
        variants=[_axes_of(label, rows) for label, rows in groups],
    )


def _axes_of(label: str, rows: pd.DataFrame) -> Variant:
    """The axes of highest score, the highest on top, by condition."""
    best = rows.groupby("axis")["median_score"].max().sort_values(ascending=False, kind="stable").index[:MOST_AXES]
    place = {name: i for i, name in enumerate(best)}
    rows = rows[rows["axis"].isin(best)].sort_values("axis", kind="stable", key=lambda axis: axis.map(place))
    records = rows.to_dict("records")
    names = [
        axis_words(*(row[key] for key in ("axis", "sender", "receiver", "sender_types", "receiver_types")))
        for row in records
    ]
    n_axes = len(set(names))
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [words(condition) for condition in rows["condition"]],
        "y": names,
        "text": [_axis_in_words(name, row) for name, row in zip(names, records, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": clean(7 + 15 * rows["share_significant"].fillna(0)),
            "color": clean(rows["median_score"]),
            "colorscale": SEQUENTIAL,
            "line": {"width": 0.8, "color": MUTED},
            "colorbar": {"title": {"text": "median score", "side": "right"}, **BAR},
        },
    }
    conditions = [words(condition) for condition in in_order(rows["condition"])]
    layout = {
        "height": rows_high(n_axes, row=26, frame=140),
        "yaxis": reversed_axis(tickfont={"size": 10.5}, autorange=False, range=[n_axes - 0.3, -0.7]),
        "showlegend": False,
        "xaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": conditions,
            "range": [-0.6, len(conditions) - 0.4],
            "automargin": True,
            "tickangle": -20,
        },
    }
    return Variant(label, [trace], layout, rows)


def _axis_in_words(name: str, row: Mapping[str, Any]) -> str:
    """What pointing at an axis in a condition says."""
    share = 0.0 if np.isnan(row["share_significant"]) else row["share_significant"]
    fdr = "–" if np.isnan(row["fdr"]) else f"{row['fdr']:.2g}"
    lines = [
        name,
        f"{words(row['condition'])}: median score {row['median_score']:.2f}",
        f"significant in {share:.0%} of {row['n_donors']} donors, FDR {fdr}",
        row["references"]
        + (f"; from memory: {words(row['from_memory'].replace(';', ' and '))}" if row["verify"] else ""),
    ]
    return "<br>".join(lines)


def drug_targets(table: pd.DataFrame) -> Figure:
    """By compartment: genes × donors of expression, with the highest normal type beside."""
    variants = []
    tested = table[table["log2_cpm"].notna()]
    groups = sorted(tested.groupby("compartment"), key=lambda group: (group[0] != Compartment.TUMOUR, group[0]))
    for compartment, rows in groups:
        rows = rows.assign(column=rows["donor"] + " · " + rows["condition"].map(words))
        # Columns of one name are other donors, or one donor measured in several ways: these are kept apart.
        measured = ["study", "platform", "values"]
        several = rows.groupby("column")[measured].transform("nunique").gt(1).any(axis=1)
        rows.loc[several, "column"] += " · " + rows["study"] + ", " + rows["platform"] + ", " + rows["values"]
        for label, value, scale, middle, bar in (
            ("expression", "log2_cpm", SEQUENTIAL, None, "log2 CPM"),
            ("above the highest normal type", "difference", DIVERGING, 0, "log2 difference"),
        ):
            matrix = rows.pivot_table(index="gene", columns="column", values=value)
            if matrix.empty:
                continue
            matrix = matrix.loc[matrix.mean(axis=1).sort_values(ascending=False, kind="stable").index[:60]]
            columns = rows.drop_duplicates("column").sort_values(["condition", "donor"], kind="stable")["column"]
            matrix = matrix[[c for c in columns if c in matrix]]
            trace = heat_map(matrix, scale=scale, label=bar, middle=middle)
            layout = {
                "height": rows_high(len(matrix), row=17, frame=190),
                "yaxis": reversed_axis(tickfont={"size": 10}),
                "xaxis": {"type": "category", "tickangle": -60, "automargin": True, "tickfont": {"size": 9}},
            }
            shown = f"{compartment_words(str(compartment))}, {label}"
            variants.append(Variant(shown, [trace], layout, rows.drop(columns="column")))
    return Figure(
        id="drug-targets",
        title="Genes of the drug list",
        choose="Compartment",
        source="druggability.tsv",
        caption="Expression, not advice: log2 CPM of drug-related genes by donor, or its difference to the "
        "highest normal cell type of the same samples. "
        "RNA cannot call HER2-low or an immunohistochemistry result.",
        empty="No donor has enough cells in a compartment of the drug list.",
        variants=variants,
    )


def antigens(table: pd.DataFrame) -> Figure:
    """Share of malignant cells that show none, one or more antigens."""
    rows = table[table["share_0"].notna()].sort_values(["condition", "donor"], kind="stable")
    names = [f"{d} · {words(c)}" for d, c in zip(rows["donor"], rows["condition"], strict=True)]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": clean(rows[column] * 100),
            "name": label,
            "marker": {"color": colour},
            "customdata": list(rows["smallest_set"]),
            "hovertemplate": "%{y}<br>" + label + ": %{x:.0f}%<br>smallest set: %{customdata}<extra></extra>",
        }
        for column, label, colour in (
            ("share_2_or_more", "two or more", "#08306b"),
            ("share_1", "one", "#4a98c9"),
            ("share_0", "none", "#d9dde3"),
        )
    ]
    layout = {
        "barmode": "stack",
        "height": rows_high(len(rows)),
        "xaxis": axis("% of malignant cells"),
        "yaxis": reversed_axis(),
        "legend": {"traceorder": "normal"},
    }
    return Figure(
        id="drug-antigens",
        title="Antigens of antibody-drug conjugates",
        source="adc_coverage.tsv",
        caption="Expression, not advice: expected share of a donor's malignant cells that show no, one, or "
        "several antigens at a common depth. Hover for the smallest set that covers most.",
        empty="No donor has enough malignant cells at the common depth.",
        variants=[Variant("", data, layout, rows)] if len(rows) else [],
    )


def programme_pairs(table: pd.DataFrame) -> Figure:
    """Programmes that go together or exclude each other."""
    variants = []
    rows = table[table["median_rho"].notna()]
    if len(rows):
        names = sorted({*rows["programme_a"], *rows["programme_b"]}, key=lambda n: (len(n), n))
        matrix = pd.DataFrame(np.nan, index=names, columns=names)
        for a, b, rho in zip(rows["programme_a"], rows["programme_b"], rows["median_rho"], strict=True):
            matrix.loc[a, b] = matrix.loc[b, a] = rho
        trace = heat_map(matrix, scale=DIVERGING, label="median rho", limit=(-1, 1))
        layout = {
            "height": rows_high(len(names), row=30, least=300),
            "yaxis": reversed_axis(),
            "xaxis": {"type": "category"},
        }
        variants = [Variant("", [trace], layout, rows)]
    return Figure(
        id="programme-pairs",
        title="Programmes that coexist or exclude each other",
        source="programme_pairs.tsv",
        caption="Median over donors of the partial rank correlation of two programmes' scores across "
        "malignant cells, depth taken out.",
        empty="Fewer than two recurrent programmes of malignant cells were found.",
        variants=variants,
    )


def fidelity(table: pd.DataFrame) -> Figure:
    """Models beside patients, with the ceiling that patients set among themselves."""
    rows = table[table["rho"].notna()]
    names = [
        f"{row['donor']} ({row['platform']}) · {words(row['compartment'])} · beside {words(row['reference'])}"
        + ("" if row["same_platform"] else ", measured otherwise")
        for row in rows.to_dict("records")
    ]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "y": names,
            "x": clean(rows["rho"]),
            "name": "model",
            "marker": {"size": 10, "color": ACCENT},
        },
        {
            "type": "scatter",
            "mode": "markers",
            "y": names,
            "x": clean(rows["ceiling"]),
            "name": "patients among themselves",
            "marker": {"symbol": "line-ns", "size": 14, "line": {"width": 2.4, "color": MUTED}},
        },
    ]
    layout = {
        "height": rows_high(len(rows), row=24),
        "xaxis": axis("rank correlation with patients"),
        "yaxis": reversed_axis(),
    }
    return Figure(
        id="fidelity",
        title="Preclinical models beside patients",
        source="fidelity.tsv",
        caption="Rank correlation of a model's expression with patients', beside the correlation that "
        "patients have among themselves (the ceiling).",
        empty="This run holds no preclinical model (cell line, xenograft or organoid).",
        variants=[Variant("", data, layout, rows)] if len(rows) else [],
    )
