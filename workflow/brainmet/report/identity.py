"""Figures of what the cells are: composition, agreement, unknowns, copy number, marker genes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brainmet.annotate.consensus.reasons import named_genes
from brainmet.contract import MALIGNANT_TIERS, UNKNOWN, Compartment, Obs
from brainmet.report.figure import Figure, Variant, axis, clean, heat_map, reversed_axis, rows_high
from brainmet.report.palette import ACCENT, DIVERGING, MUTED, SEQUENTIAL, in_order
from brainmet.report.wording import words

BIN = 10**7
"""Bases per column of the genome's heat map."""
REASONS = 12
"""Reasons of unknown cells that are listed, commonest first."""
MARKERS_NAMED = 5
"""Markers that are named of a cluster, commonest first."""
MARKERS_DRAWN = 60
"""Genes of the heat map of markers, about."""
_ROOM = 0.03
"""Share of the genome's axis that a number takes."""


def unknowns(annotation: pd.DataFrame, samples: list[str]) -> Figure:
    """Share of cells left unknown by sample."""
    unknown = annotation[Obs.CELL_TYPE] == UNKNOWN
    share = unknown.groupby(annotation[Obs.SAMPLE], sort=True).mean().reindex(samples, fill_value=0) * 100
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": samples,
            "x": clean(share),
            "marker": {"color": MUTED},
            "hovertemplate": "%{y}<br>%{x:.1f}% unknown<extra></extra>",
        }
    ]
    layout = {
        "height": rows_high(len(samples)),
        "xaxis": axis("% of kept cells", rangemode="tozero"),
        "yaxis": reversed_axis(),
        "showlegend": False,
    }
    return Figure(
        id="identity-unknown",
        title="Cells left unknown",
        source="../cohort/annotation.parquet",
        caption="Share of each sample's kept cells whose evidence was too weak for any type. Unknown is an "
        "answer: it is not forced.",
        empty="Every kept cell was given a type." if len(annotation) else "No cell was annotated.",
        variants=[Variant("", data, layout, share.rename("percent").rename_axis("sample").reset_index())]
        if unknown.any()
        else [],
    )


def reasons_of_unknowns(annotation: pd.DataFrame) -> pd.DataFrame:
    """The commonest reasons of cells that stayed unknown: `reason, n_cells`."""
    sentences = annotation.loc[annotation[Obs.CELL_TYPE] == UNKNOWN, Obs.REASON]
    counts = sentences.value_counts().rename_axis("reason").rename("n_cells").reset_index()
    return counts.sort_values(["n_cells", "reason"], ascending=[False, True], kind="stable").head(REASONS)


def _commonest_markers(reasons: pd.Series) -> str:
    """The marker genes that the reasons of cells name most often, with the share of cells that name them."""
    counts = named_genes(reasons).value_counts(sort=False)
    counts = counts.sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    return ", ".join(f"{gene}\u00a0{n / len(reasons):.0%}" for gene, n in counts.head(MARKERS_NAMED).items())


def clusters(annotation: pd.DataFrame) -> pd.DataFrame:
    """What each cluster is: size, commonest type and its share, samples, malignant share, confidence."""
    rows = []
    for name, cells in annotation.groupby(Obs.CLUSTER, sort=False):
        types = cells[Obs.CELL_TYPE].value_counts(normalize=True, sort=False)
        types = types.sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        called = ", ".join(f"{words(str(t))}\u00a0{s:.0%}" for t, s in types.head(3).items() if s >= 0.005)
        largest = cells[Obs.SAMPLE].value_counts(normalize=True).max()
        malignant = cells[Obs.MALIGNANCY].isin(MALIGNANT_TIERS).mean()
        rows.append(
            (
                *(name, len(cells), called, _commonest_markers(cells[Obs.REASON]), cells[Obs.SAMPLE].nunique()),
                *(largest, malignant, cells[Obs.CONFIDENCE].median()),
            )
        )
    names = [
        "cluster",
        "n_cells",
        "cell_types",
        "genes",
        "n_samples",
        "share_of_largest_sample",
        "malignant_share",
        "median_confidence",
    ]
    return pd.DataFrame(rows, columns=names).sort_values(
        ["n_cells", "cluster"], ascending=[False, True], kind="stable", ignore_index=True
    )


def copy_number(table: pd.DataFrame) -> Figure:
    """Arms × groups of cells."""
    malignant = table["group"] == Compartment.MALIGNANT
    tumours, normal = table[malignant], table[~malignant]
    reach = spread_of(table)
    arms = sorted(dict.fromkeys(table["arm"]), key=_arm)
    groups = (
        ("malignant cells", tumours, _tumours(tumours)),
        ("normal lineages", normal, normal["sample"] + " · " + normal["group"].map(words)),
    )
    return Figure(
        id="copy-number",
        title="Copy number along the chromosomes",
        choose="Cells",
        source="cnv_arms.tsv",
        caption="Mean expression of each chromosome arm in a sample's malignant cells, donor by donor, as log "
        "difference to its normal cells: "
        "red gained, blue lost; hover for the call. Inferred from expression, at the resolution of arms.",
        empty="No sample holds both enough malignant and enough normal cells to infer copy number.",
        variants=[_arms_of(label, rows, names, arms, reach) for label, rows, names in groups if len(rows)],
    )


def _arms_of(label: str, rows: pd.DataFrame, names: pd.Series, arms: list[str], reach: float) -> Variant:
    """Arms × groups of cells, each row by its name."""
    named = rows.assign(row=names)
    matrix = named.pivot_table(index="row", columns="arm", values="mean", sort=True).reindex(columns=arms)
    measured = {(row["row"], row["arm"]): row for row in named.to_dict("records")}

    def text(row: str, arm: str) -> str:
        return _arm_words(row, arm, measured.get((row, arm)))

    trace = heat_map(matrix, scale=DIVERGING, label="mean log difference", limit=(-reach, reach), text=text)
    layout = {
        "height": rows_high(len(matrix), row=22),
        "yaxis": reversed_axis(tickfont={"size": 10}),
        "xaxis": {"type": "category", "tickangle": -90, "tickfont": {"size": 9}, "dtick": 1},
    }
    return Variant(label, [trace], layout, rows)


def _arm_words(row: str, arm: str, measured: Mapping[str, Any] | None) -> str:
    """What pointing at an arm of a tumour says."""
    if measured is None:
        return f"{row}<br>{arm}: not measured"
    return f"{row}<br>{arm}: {measured['call']}<br>mean {measured['mean']:.3f}, z {measured['z']:.1f}"


def genome(table: pd.DataFrame) -> Figure:
    """Windows along the genome × groups of cells, in bins of ten million bases."""
    middle = (table["start"] + table["end"]) // 2 // BIN
    label = table["chromosome"].astype(str) + ":" + (middle * BIN // 10**6).astype(str) + " Mb"
    told = table.assign(bin=label, order=table["chromosome"].astype(int) * 1_000 + middle)
    order = list(dict.fromkeys(told.sort_values("order", kind="stable")["bin"]))
    first = [next(b for b in order if b.startswith(f"{c}:")) for c in dict.fromkeys(b.split(":")[0] for b in order)]
    reach = float(f"{max(0.2, told['log2_ratio'].abs().quantile(0.98) if len(told) else 0.2):.3g}")
    variants = []
    for name, rows in (
        ("malignant cells", told[told["group"] == Compartment.MALIGNANT]),
        ("normal lineages", told[told["group"] != Compartment.MALIGNANT]),
    ):
        if rows.empty:
            continue
        row = _tumours(rows) if name == "malignant cells" else rows["sample"] + " · " + rows["group"].map(words)
        matrix = (
            rows.assign(row=row).pivot_table(index="row", columns="bin", values="log2_ratio").reindex(columns=order)
        )
        trace = heat_map(matrix, scale=DIVERGING, label="log2 ratio", limit=(-reach, reach)) | {"xgap": 0}
        ticks = {"tickmode": "array", "tickvals": first, "ticktext": _spaced(first, order), "tickangle": 0}
        layout = {
            "height": rows_high(len(matrix), row=22),
            "yaxis": reversed_axis(tickfont={"size": 10}),
            "xaxis": {"type": "category", "tickfont": {"size": 9}, **ticks},
        }
        variants.append(Variant(name, [trace], layout, rows.drop(columns=["bin", "order"])))
    return Figure(
        id="copy-number-genome",
        title="Copy number in windows of genes",
        choose="Cells",
        source="cnv_windows.tsv",
        caption="Expression in windows of genes along the autosomes, as log2 ratio to the other normal lineages of the "
        "sample: a gain or loss moves whole arms; single stripes can be a lineage's own programme, as in normal cells.",
        empty="No sample holds both enough malignant and enough normal cells to compare.",
        variants=variants,
    )


def _tumours(rows: pd.DataFrame) -> pd.Series:
    """Names of tumours: the sample, with the donor where it holds several."""
    several = rows.groupby("sample")["donor"].transform("nunique") > 1
    return rows["sample"].where(~several, rows["sample"] + " · " + rows["donor"])


def _spaced(first: list[str], order: list[str]) -> list[str]:
    """Chromosomes at their first bins, without a number where it would touch the one before."""
    labels, free = [], 0.0
    for name in first:
        at = order.index(name)
        labels.append(name.split(":")[0] if at >= free else "")
        free = at + len(order) * _ROOM if labels[-1] else free
    return labels


def spread_of(table: pd.DataFrame) -> float:
    """End of the colour scale of copy number: one for all groups, so that normal cells look as flat as they are."""
    values = table["mean"].abs().to_numpy(float)
    return float(
        f"{max(0.05, np.quantile(values[np.isfinite(values)], 0.99) if np.isfinite(values).any() else 0.05):.3g}"
    )


def _arm(name: str) -> tuple[int, str]:
    number = name.rstrip("pq")
    return (int(number) if number.isdigit() else 99, name)


def markers(table: pd.DataFrame) -> Figure:
    """Best marker genes of each type, fewer of many types: fold change against the rest."""
    top = min(6, max(3, MARKERS_DRAWN // max(1, table["cell_type"].nunique())))
    best = table[table["rank"] <= top]
    variants = []
    if len(best):
        types = in_order(best["cell_type"])
        genes = list(
            dict.fromkeys(
                g for t in types for g in best.loc[best["cell_type"] == t].sort_values("rank", kind="stable")["symbol"]
            )
        )
        matrix = (
            table[table["symbol"].isin(genes)]
            .pivot_table(index="cell_type", columns="symbol", values="log2_fold_change")
            .reindex(index=types, columns=genes)
        )
        trace = heat_map(
            matrix,
            scale=SEQUENTIAL,
            label="log2 fold change",
            row_name=words,
            limit=(0, float(f"{np.nanquantile(matrix.to_numpy(), 0.95):.3g}")),
        )
        layout = {
            "height": rows_high(len(types), row=24),
            "yaxis": reversed_axis(),
            "xaxis": {"type": "category", "tickangle": -90, "tickfont": {"size": 8}, "dtick": 1},
        }
        variants = [Variant("", [trace], layout, best)]
    return Figure(
        id="markers",
        title="Genes that mark each type here",
        source="markers.tsv",
        caption=f"The {top} best marker genes of each called type, one against the rest within donors. Blank: "
        "not among a type's markers.",
        empty="No type has enough cells in enough donors to look for marker genes.",
        variants=variants,
    )


def stability(table: pd.DataFrame) -> Figure:
    """Agreement of clusterings of subsamples, by resolution, beside the null."""
    names = [f"{r:g}" for r in table["resolution"]]
    data = [
        {
            "type": "scatter",
            "mode": "markers+lines",
            "x": names,
            "y": clean(table[value]),
            "name": label,
            "marker": {"color": colour, "size": 8},
            "line": {"color": colour, "width": 1.5},
            "error_y": {"type": "data", "array": clean(table[sd].fillna(0)), "thickness": 1.2, "width": 3},
        }
        for value, sd, label, colour in (
            ("stability", "stability_sd", "cells", ACCENT),
            ("null_stability", "null_sd", "null without clusters", MUTED),
        )
    ]
    layout = {
        "height": 300,
        "xaxis": axis("resolution", type="category"),
        "yaxis": axis("adjusted Rand index", range=[0, 1.02]),
    }
    return Figure(
        id="cluster-stability",
        title="Do the clusters hold?",
        source="stability.tsv",
        caption="Agreement (adjusted Rand index) between clusters of subsamples and clusters of all cells, at each "
        "resolution. The null line is the same for simulated points without clusters: one normal distribution with "
        "the same covariance. Bars: standard deviation over subsamples.",
        empty="Too few cells to examine the clusters' stability.",
        variants=[Variant("", data, layout, table)] if len(table) else [],
    )
