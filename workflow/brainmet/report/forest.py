"""Effects with their intervals, one row each, and the order in which contrasts are offered."""

from collections.abc import Iterator

import pandas as pd

from brainmet.compare.estimators import POOLED, RANK, TRANSFER
from brainmet.report.figure import axis, clean, interval_bars, rows_high
from brainmet.report.palette import ACCENT, DOUBTED, MUTED
from brainmet.report.wording import contrast_words, words


def contrasts(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Pooled effects by contrast and primary tumour: judged before only shown, the primary tumour asked about
    before others."""
    pooled = table[(table["study"] == POOLED) & table["effect"].notna()]

    def rank(group: tuple[tuple[str, str], pd.DataFrame]) -> tuple[bool, bool, tuple[str, str]]:
        key, rows = group
        return not rows["estimator"].isin(list(RANK)).any(), _of_another(rows), key

    for (contrast, site), rows in sorted(pooled.groupby(["contrast", "primary_site"], sort=True), key=rank):
        yield named(contrast, site, rows), rows


def named(contrast: str, site: str, rows: pd.DataFrame) -> str:
    """A contrast as its entry in a list."""
    label = contrast_words(contrast) + (f" ({site})" if _of_another(rows) else "")
    return label + ("" if rows["estimator"].isin(list(RANK)).any() else " (confounded, never judged)")


def _of_another(rows: pd.DataFrame) -> bool:
    """Whether the donors have another primary tumour than the one asked about."""
    return bool((rows["estimator"] == TRANSFER).all())


def forest(frame: pd.DataFrame, names: pd.Series, *, alpha: float) -> tuple[list[dict], dict]:
    """Effects with intervals and the number of donors, one row each: filled where the FDR is below alpha, orange where
    something explains that.

    Args:
        frame: `effect, ci_low, ci_high, n_a, n_b, p, fdr, estimator`; `explained_by` and others where there are.
        names: of the rows, from bottom to top.
        alpha: level of the FDR.
    """
    rows = frame.to_dict("records")
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": clean(frame["effect"]),
        "y": list(names),
        "text": [f"{name}<br>{_told(row)}" for name, row in zip(names, rows, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 9, "color": [_fill(row, alpha) for row in rows], "line": {"width": 1.6, "color": ACCENT}},
        "error_x": {**interval_bars(frame["effect"], frame["ci_low"], frame["ci_high"]), "color": MUTED},
        "showlegend": False,
    }
    layout = {
        "height": rows_high(len(frame), row=20),
        "xaxis": axis("Hedges' g", zeroline=True, zerolinecolor=MUTED, zerolinewidth=1.2),
        "yaxis": {"type": "category", "automargin": True, "tickfont": {"size": 11}, "range": [-0.7, len(rows) - 0.3]},
        "margin": {"l": 10, "r": 64, "t": 22, "b": 10},
        "annotations": [_note("donors", len(rows) - 0.3, yanchor="bottom")]
        + [_note(f"{row['n_a']} v {row['n_b']}", i) for i, row in enumerate(rows)],
    }
    return [trace], layout


def _note(text: str, y: float, **more: str) -> dict:
    """A word to the right of the plot, at the height of a row."""
    place = {"x": 1.01, "xref": "paper", "xanchor": "left", "y": y, "yref": "y", "showarrow": False}
    return {"text": text, "font": {"size": 10.5}, **place, **more}


def _fill(row: dict, alpha: float) -> str:
    if not row["fdr"] < alpha:
        return "#ffffff"
    return DOUBTED if row.get("explained_by") else ACCENT


_BESIDE = (
    ("p_perm", "permuting donors: p = {:.2g}"),
    ("mde", "smallest effect that these donors would show: {:.2f}"),
    ("coverage", "genes measured: {:.0%}"),
    ("effect_clean", "without ambient RNA: g = {:.2f}"),
)


def _told(row: dict) -> str:
    """An effect in numbers, and what stands beside it: its null, the power, the coverage, what explains it."""
    lines = [
        f"g = {row['effect']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]",
        f"{row['n_a']} against {row['n_b']} donors, {words(row['estimator'])}",
        f"p = {row['p']:.2g}, FDR = {row['fdr']:.2g}",
        *(text.format(row[key]) for key, text in _BESIDE if pd.notna(row.get(key))),
        *([f"explained by: {words(row['explained_by']).replace(';', ', ')}"] if row.get("explained_by") else []),
    ]
    return "<br>".join(lines)
