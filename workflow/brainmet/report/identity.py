"""Figures of what the cells are: composition, agreement, unknowns, copy number, marker genes."""

import numpy as np
import pandas as pd

from brainmet.contract import UNKNOWN, Obs
from brainmet.report.figure import (
    Figure,
    Variant,
    axis,
    clean,
    contrast_words,
    heat_map,
    interval_bars,
    reversed_axis,
    rows_high,
    words,
)
from brainmet.report.palette import ACCENT, DIVERGING, MUTED, SEQUENTIAL, colours, in_order

POOLED = "pooled"


def composition(annotation: pd.DataFrame, samples: list[str]) -> Figure:
    """Cell types, lineages and malignancy of each sample, as shares and as numbers."""
    variants = []
    for key, name in ((Obs.CELL_TYPE, "cell types"), (Obs.LINEAGE, "lineages"), (Obs.MALIGNANCY, "malignancy")):
        counts = pd.crosstab(annotation[Obs.SAMPLE], annotation[key]).reindex(samples, fill_value=0)
        counts = counts[in_order(counts.columns)]
        palette = colours(counts.columns)
        for share in (True, False):
            shown = counts.div(counts.sum(axis=1).clip(lower=1), axis=0) * 100 if share else counts
            data = [
                {
                    "type": "bar",
                    "orientation": "h",
                    "y": samples,
                    "x": clean(shown[c]),
                    "name": words(c),
                    "marker": {"color": palette[c]},
                    "customdata": clean(counts[c]),
                    "hovertemplate": "%{y}<br>" + words(c) + ": %{customdata} cells<extra></extra>",
                }
                for c in counts
            ]
            layout = {
                "barmode": "stack",
                "height": rows_high(len(samples), least=300, frame=150),
                "yaxis": reversed_axis(),
                "xaxis": axis("% of kept cells" if share else "kept cells"),
                "legend": {"traceorder": "normal"},
            }
            variants.append(Variant(f"{name}, {'shares' if share else 'numbers'}", data, layout, counts.reset_index()))
    return Figure(
        id="composition-samples",
        title="What each sample is made of",
        choose="Show",
        source="../cohort/annotation.parquet",
        caption="Kept cells of each sample by what they were called. Enriched samples show their sorting, "
        "not their tissue.",
        empty="No cell was annotated.",
        variants=variants if len(annotation) else [],
    )


def composition_contrasts(table: pd.DataFrame) -> Figure:
    """Forest of composition contrasts."""
    variants = []
    for contrast, own in table[(table["study"] == POOLED) & table["effect"].notna()].groupby("contrast", sort=True):
        own = own.sort_values("effect", kind="stable")
        variants.append(Variant(contrast_words(str(contrast)), *forest(own, own["cell_type"].map(words)), own))
    return Figure(
        id="composition-contrasts",
        title="Cell types that differ between conditions",
        choose="Contrast",
        source="composition.tsv",
        caption="Hedges' g of centred log-ratios with donors as replicates and 95 % intervals; unenriched "
        "samples only. "
        "Shares add up to one: a type can fall because another rises.",
        empty="No contrast of composition could be tested: an arm lacks unenriched donors.",
        variants=variants,
    )


def forest(frame: pd.DataFrame, names: pd.Series) -> tuple[list[dict], dict]:
    """Effects with intervals, one row each; filled where the FDR is below 0.05.

    Args:
        frame: `effect, ci_low, ci_high, n_a, n_b, p, fdr, estimator`.
        names: of the rows, from bottom to top.
    """
    clear = (frame["fdr"] < 0.05).to_numpy()
    beside = [_beside(row) for row in frame.to_dict("records")]
    texts = [
        f"{name}<br>g = {e:.2f} [{lo:.2f}, {hi:.2f}]<br>{a} against {b} donors, {est}"
        f"<br>p = {p:.2g}, FDR = {q:.2g}{more}"
        for name, e, lo, hi, a, b, est, p, q, more in zip(
            names,
            frame["effect"],
            frame["ci_low"],
            frame["ci_high"],
            frame["n_a"],
            frame["n_b"],
            frame["estimator"],
            frame["p"],
            frame["fdr"],
            beside,
            strict=True,
        )
    ]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": clean(frame["effect"]),
        "y": list(names),
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": 9,
            "color": [ACCENT if c else "#ffffff" for c in clear],
            "line": {"width": 1.6, "color": ACCENT},
        },
        "error_x": {**interval_bars(frame["effect"], frame["ci_low"], frame["ci_high"]), "color": MUTED},
        "showlegend": False,
    }
    layout = {
        "height": rows_high(len(frame), row=20),
        "xaxis": axis("Hedges' g", zeroline=True, zerolinecolor=MUTED, zerolinewidth=1.2),
        "yaxis": {"type": "category", "automargin": True, "tickfont": {"size": 11}},
    }
    return [trace], layout


_BESIDE = (
    ("p_perm", "permuting donors: p = {:.2g}"),
    ("mde", "smallest effect that these donors would show: {:.2f}"),
    ("coverage", "genes measured: {:.0%}"),
    ("effect_clean", "without ambient RNA: g = {:.2f}"),
)


def _beside(row: dict) -> str:
    """What stands beside an effect: its null, the power, the coverage, the effect without ambient RNA."""
    return "".join("<br>" + text.format(row[key]) for key, text in _BESIDE if pd.notna(row.get(key)))


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
        text = pd.DataFrame(
            [
                [
                    f"authors: {words(t)}<br>called: {words(c)}<br>{counts.loc[t, c]} cells, {share.loc[t, c]:.1%}"
                    for c in counts
                ]
                for t in counts.index
            ],
            index=counts.index,
            columns=counts.columns,
        )
        trace = heat_map(share, scale=SEQUENTIAL, label="share of authors' class", limit=(0, 1), text=text)
        layout = {
            "height": rows_high(len(share), row=30, frame=150),
            "yaxis": reversed_axis(title={"text": "authors"}),
            "xaxis": axis("called here", type="category", tickangle=-45, automargin=True),
        }
        variants = [Variant("", [trace], layout, table)]
    return Figure(
        id="agreement-confusion",
        title="What the authors called what we called",
        source="confusion.tsv",
        caption="Cells with an author's label, by the authors' coarse class (rows add up to 1) and ours. The "
        "diagonal is agreement.",
        empty="No sample comes with labels of its authors, so there is no confusion matrix.",
        variants=variants,
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
            "name": "cells in ten bins",
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
        title="Is confidence worth its name?",
        source="calibration.tsv",
        caption="Labelled cells in bins of equal size by the confidence of their class: on the dotted line "
        "confidence equals the share called as the authors did.",
        empty="No sample comes with labels of its authors, so confidence cannot be checked.",
        variants=[Variant("", data, layout, table)] if len(table) else [],
    )


def unknowns(annotation: pd.DataFrame, samples: list[str]) -> tuple[Figure, pd.DataFrame]:
    """Share of cells left unknown by sample, and the commonest reasons given."""
    unknown = annotation[Obs.CELL_TYPE] == UNKNOWN
    share = unknown.groupby(annotation[Obs.SAMPLE], sort=True).mean().reindex(samples, fill_value=0) * 100
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": samples,
            "x": clean(share),
            "marker": {"color": MUTED},
            "hovertemplate": "%{y}<br>%{x:.1f} % unknown<extra></extra>",
        }
    ]
    layout = {
        "height": rows_high(len(samples)),
        "xaxis": axis("% of kept cells", rangemode="tozero"),
        "yaxis": reversed_axis(),
        "showlegend": False,
    }
    figure = Figure(
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
    reasons = annotation.loc[unknown, Obs.REASON].value_counts().rename_axis("reason").rename("n_cells").reset_index()
    return figure, reasons.sort_values(["n_cells", "reason"], ascending=[False, True], kind="stable").head(12)


def _named_genes(reasons: pd.Series, most: int = 5) -> str:
    """The marker genes that the reasons of cells name most often, with the share of cells that name them."""
    genes = reasons.str.extract(r"^([^;]*) high", expand=False).dropna().str.split(", ").explode()
    genes = genes[~genes.str.contains(" ")]
    counts = genes.value_counts(sort=False).sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    return ", ".join(f"{gene} {n / len(reasons):.0%}" for gene, n in counts.head(most).items())


def clusters(annotation: pd.DataFrame) -> pd.DataFrame:
    """What each cluster is: size, commonest type and its share, samples, malignant share, confidence."""
    rows = []
    for name, own in annotation.groupby(Obs.CLUSTER, sort=False):
        types = own[Obs.CELL_TYPE].value_counts(normalize=True, sort=False)
        types = types.sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        called = ", ".join(f"{words(str(t))} {s:.0%}" for t, s in types.head(3).items())
        largest = own[Obs.SAMPLE].value_counts(normalize=True).max()
        malignant = own[Obs.MALIGNANCY].isin(["malignant", "likely_malignant"]).mean()
        rows.append(
            (
                *(name, len(own), called, _named_genes(own[Obs.REASON]), own[Obs.SAMPLE].nunique()),
                *(largest, malignant, own[Obs.CONFIDENCE].median()),
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
    variants = []
    arms = list(dict.fromkeys(table["arm"])) if len(table) else []
    arms.sort(key=_arm)
    for label, mask in (
        ("malignant cells", table["group"] == "malignant"),
        ("normal lineages", table["group"] != "malignant"),
    ):
        own = table[mask]
        if own.empty:
            continue
        names = own["sample"] if label == "malignant cells" else own["sample"] + " · " + own["group"].map(words)
        own = own.assign(row=names)
        matrix = own.pivot_table(index="row", columns="arm", values="mean", sort=True).reindex(columns=arms)
        calls = own.pivot_table(index="row", columns="arm", values="call", aggfunc="first").reindex(
            index=matrix.index, columns=arms
        )
        z = own.pivot_table(index="row", columns="arm", values="z").reindex(index=matrix.index, columns=arms)
        text = pd.DataFrame(
            [
                [f"{r}<br>{a}: {calls.loc[r, a]}<br>mean {matrix.loc[r, a]:.3f}, z {z.loc[r, a]:.1f}" for a in arms]
                for r in matrix.index
            ],
            index=matrix.index,
            columns=arms,
        )
        trace = heat_map(matrix, scale=DIVERGING, label="mean log difference", middle=0, text=text)
        limit = spread_of(table)
        trace |= {"zmin": -limit, "zmax": limit}
        layout = {
            "height": rows_high(len(matrix), row=22),
            "yaxis": reversed_axis(tickfont={"size": 10}),
            "xaxis": {"type": "category", "tickangle": -90, "tickfont": {"size": 9}, "dtick": 1},
        }
        variants.append(Variant(label, [trace], layout, own.drop(columns="row")))
    return Figure(
        id="copy-number",
        title="Copy number along the chromosomes",
        choose="Cells",
        source="cnv_arms.tsv",
        caption="Mean expression of each chromosome arm in a sample's malignant cells, as log difference to "
        "its normal cells: "
        "red gained, blue lost; hover for the call. Inferred from expression, at the resolution of arms.",
        empty="No sample holds both enough malignant and enough normal cells to infer copy number.",
        variants=variants,
    )


def spread_of(table: pd.DataFrame) -> float:
    """End of the colour scale of copy number: one for all groups, so that normal cells look as flat as they are."""
    values = table["mean"].abs().to_numpy(float)
    return float(
        f"{max(0.05, np.quantile(values[np.isfinite(values)], 0.99) if np.isfinite(values).any() else 0.05):.3g}"
    )


def _arm(name: str) -> tuple[int, str]:
    number = name.rstrip("pq")
    return (int(number) if number.isdigit() else 99, name)


def markers(table: pd.DataFrame, *, top: int = 6) -> Figure:
    """Best marker genes of each type: fold change against the rest."""
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
            matrix.rename(index=words),
            scale=SEQUENTIAL,
            label="log2 fold change",
            limit=(0, float(f"{np.nanquantile(matrix.to_numpy(), 0.95):.3g}")),
        )
        layout = {
            "height": rows_high(len(types), row=24),
            "yaxis": reversed_axis(),
            "xaxis": {"type": "category", "tickangle": -90, "tickfont": {"size": 9}, "dtick": 1},
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
