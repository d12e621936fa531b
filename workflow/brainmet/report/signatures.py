"""Figures of the signatures: by cell type and condition, and by compartment, with the donors behind them."""

from collections.abc import Mapping

import pandas as pd

from brainmet.contract import UNKNOWN, Obs
from brainmet.report.figure import Figure, Variant, axis, clean, heat_map, reversed_axis, rows_high
from brainmet.report.palette import DIVERGING, MUTED, colours, in_order
from brainmet.report.wording import compartment_words, words

Names = Mapping[str, str]
MIN_CELLS = 5
"""Cells below which a donor's mean of a type is not drawn."""


def donor_means(scores: pd.DataFrame, annotation: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each signature over the cells of a type in a donor and condition.

    Returns:
        Rows `cell_type, condition, study, donor, n_cells` as index, one column per signature.
    """
    keys = [Obs.CELL_TYPE, Obs.CONDITION, Obs.STUDY, Obs.DONOR]
    joined = pd.concat([annotation[keys], scores.loc[annotation.index]], axis=1)
    grouped = joined[joined[Obs.CELL_TYPE] != UNKNOWN].groupby(keys, sort=True)
    means, sizes = grouped.mean(), grouped.size()
    means = means.assign(n_cells=sizes).set_index("n_cells", append=True)
    return means[means.index.get_level_values("n_cells") >= MIN_CELLS]


def signature_cells(means: pd.DataFrame, names: Names) -> Figure:
    """By signature: heat map of type × condition, and every donor behind it."""
    variants = []
    rows = means.index.to_frame(index=False)
    types = in_order(rows[Obs.CELL_TYPE]) if len(rows) else []
    conditions = in_order(rows[Obs.CONDITION]) if len(rows) else []
    for key in means.columns:
        known = rows.assign(score=means[key].to_numpy(float)).dropna(subset="score")
        if known.empty:
            continue
        matrix = known.pivot_table(index=Obs.CELL_TYPE, columns=Obs.CONDITION, values="score").reindex(
            index=types, columns=conditions
        )
        trace = heat_map(matrix, scale=DIVERGING, label="mean score", middle=0, row_name=words, column_name=words)
        trace["colorbar"] |= {"x": 0.47, "xanchor": "left"}
        variants.append(
            Variant(
                names.get(key, key), [trace, *_donor_points(known, types, conditions)], _two_panels(len(types)), known
            )
        )
    return Figure(
        id="signature-cells",
        title="Signatures by cell type and condition",
        choose="Signature",
        source="../cohort/annotation.parquet",
        caption="Left: mean score (t value of ULM per cell) over donors of the means over their cells. "
        "Right: the donors behind each mean, "
        f"one point per donor with at least {MIN_CELLS} cells of the type. Compare scores within one cell type only. "
        "Tests use the pseudobulk scores below, not these.",
        empty="No signature could be scored in any cell.",
        variants=variants,
    )


def _donor_points(rows: pd.DataFrame, types: list[str], conditions: list[str]) -> list[dict]:
    palette = colours(conditions)
    traces = []
    for position, condition in enumerate(conditions):
        points = rows[rows[Obs.CONDITION] == condition]
        offset = (position - (len(conditions) - 1) / 2) * 0.6 / max(1, len(conditions))
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": words(condition),
                "xaxis": "x2",
                "yaxis": "y2",
                "x": clean(points["score"]),
                "y": clean(points[Obs.CELL_TYPE].map(types.index) + offset),
                "marker": {
                    "size": 7,
                    "color": palette[condition],
                    "opacity": 0.85,
                    "line": {"width": 0.5, "color": "#fff"},
                },
                "text": [
                    f"{words(t)}<br>{d} ({s})<br>{words(condition)}, {n} cells"
                    for t, d, s, n in zip(
                        points[Obs.CELL_TYPE], points[Obs.DONOR], points[Obs.STUDY], points["n_cells"], strict=True
                    )
                ],
                "hovertemplate": "%{text}<br>%{x:.2f}<extra></extra>",
            }
        )
    return traces


def _two_panels(n_types: int) -> dict:
    return {
        "height": rows_high(n_types, row=26, least=320, frame=190),
        "xaxis": {"domain": [0, 0.46], "type": "category", "tickangle": -30, "automargin": True},
        "yaxis": reversed_axis(),
        "xaxis2": axis("score of a donor", domain=[0.6, 1], zeroline=True, zerolinecolor=MUTED),
        "yaxis2": {
            "range": [n_types - 0.5, -0.5],
            "anchor": "x2",
            "showticklabels": False,
            "tickmode": "array",
            "tickvals": list(range(n_types)),
        },
    }


def signature_donors(table: pd.DataFrame, names: Names) -> Figure:
    """Pseudobulk scores: signatures × (compartment, condition), means over donors."""
    scored = table[table["score"].notna()]
    variants = [
        variant
        for compartment, rows in scored.groupby("cell_type", sort=True)
        if (variant := _signatures_of(str(compartment), _centred(rows), names))
    ]
    return Figure(
        id="signature-donors",
        title="Signatures by compartment and condition",
        choose="Compartment",
        source="donor_scores.tsv",
        caption="Pseudobulk scores of donors (log2 units against random genes of the same expression, after "
        "thinning to one depth), averaged over donors and "
        "centred on the mean of each platform that measured two conditions; largest differences on top. What is tested "
        "is in the forest plots.",
        empty="No platform measured two conditions in donors with enough cells and counts, so that no scores can be set"
        " against each other; the table has those of every donor.",
        variants=variants,
    )


def _centred(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of the platforms that measured two conditions, each less its platform's mean (`centred`).

    The level of a score depends on the platform, differences between conditions do not.
    """
    rows = rows[rows.groupby("platform")["condition"].transform("nunique") > 1]
    level = rows.groupby(["signature", "platform"])["score"].transform("mean")
    return rows.assign(centred=rows["score"] - level)


def _signatures_of(compartment: str, rows: pd.DataFrame, names: Names) -> Variant | None:
    """Signatures × conditions of one compartment, largest differences on top; None without scores."""
    if rows.empty:
        return None
    keys = {"index": "signature", "columns": "condition"}
    matrix = rows.pivot_table(**keys, values="centred")
    matrix = matrix[in_order(matrix.columns)]
    differences = matrix.max(axis=1) - matrix.min(axis=1)
    matrix = matrix.loc[differences.sort_values(ascending=False, kind="stable").index]
    n_donors = rows.pivot_table(**keys, values="donor", aggfunc="nunique", fill_value=0)

    def text(signature: str, condition: str) -> str:
        numbers = f"{matrix.loc[signature, condition]:.2f} log2, {n_donors.loc[signature, condition]} donors"
        return f"{names.get(signature, signature)}<br>{words(condition)}<br>{numbers}"

    trace = heat_map(
        matrix,
        scale=DIVERGING,
        label="log2, centred",
        middle=0,
        row_name=lambda signature: names.get(signature, signature),
        column_name=words,
        text=text,
    )
    layout = {
        "height": rows_high(len(matrix), row=17, frame=140),
        "yaxis": reversed_axis(tickfont={"size": 10}),
        "xaxis": {"type": "category", "automargin": True, "side": "top"},
    }
    return Variant(compartment_words(compartment), [trace], layout, rows)


def score_heat(means: pd.DataFrame) -> pd.DataFrame:
    """Signatures × (type, condition): means over donors, each signature scaled to its largest; for print."""
    flat = means.groupby(level=[Obs.CELL_TYPE, Obs.CONDITION]).mean()
    scale = flat.abs().max().replace(0, 1)
    return (flat / scale).T if len(flat) else pd.DataFrame()
