"""Figures of what went in and what quality control made of it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmet.contract import UNKNOWN, Obs
from brainmet.report.figure import (
    Figure,
    Variant,
    axis,
    clean,
    heat_map,
    reversed_axis,
    rows_high,
)
from brainmet.report.palette import ACCENT, DROPPED, SEQUENTIAL, WARN, in_order
from brainmet.report.wording import listed, words

METRICS = (
    (Obs.TOTAL_COUNTS, "Counts", "min_counts", "lower limit"),
    (Obs.N_GENES, "Genes", "min_genes", "lower limit"),
    (Obs.PCT_MT, "Mitochondrial counts, %", "max_pct_mt", "upper limit"),
)
PLATES = "smartseq"
"""Technology of cells that were sorted one by one into wells."""
_REASONS = {
    "empty": "empty",
    "low_counts": "low counts",
    "low_genes": "low genes",
    "high_mt": "high mitochondrial share",
}


def fate(cells: pd.DataFrame, samples: list[str]) -> Figure:
    """Barcodes of each sample by what became of them.

    Args:
        cells: every barcode; `sample, keep, reason`.
        samples: order of the rows.
    """
    counts = fates(cells, samples)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": samples,
            "x": clean(counts[name]),
            "name": name,
            "marker": {"color": DROPPED[name]},
            "hovertemplate": "%{y}<br>%{x} " + name + "<extra></extra>",
        }
        for name in counts
    ]
    layout = {
        "barmode": "stack",
        "height": rows_high(len(samples)),
        "xaxis": axis("Barcodes"),
        "yaxis": reversed_axis(),
        "legend": {"traceorder": "normal"},
    }
    return Figure(
        id="qc-fate",
        title="What became of each sample's barcodes",
        source="qc.tsv",
        caption='Barcodes that were kept, and those that were dropped, by the limit that they broke; "several" means '
        "more than one. Limits are set for each sample.",
        empty="No sample went through quality control.",
        variants=[Variant("", data, layout, counts.reset_index())] if len(cells) else [],
    )


def fates(cells: pd.DataFrame, samples: list[str]) -> pd.DataFrame:
    """Barcodes by sample and what became of them: samples × fates."""
    counts = pd.crosstab(cells[Obs.SAMPLE], cells[Obs.REASON].map(_fate).where(~cells[Obs.KEEP], "kept"))
    return counts.reindex(index=samples, columns=[k for k in DROPPED if k in counts], fill_value=0)


def _fate(reason: str) -> str:
    codes = reason.split(";")
    return "several" if len(codes) > 1 else _REASONS.get(codes[0], codes[0])


def distributions(cells: pd.DataFrame, qc: pd.DataFrame, samples: list[str]) -> Figure:
    """Quality metrics of all barcodes by sample, as boxes, with the limit that was applied."""
    limits = qc.set_index("sample")
    variants = []
    for key, label, limit, side in METRICS:
        frame = _quantiles(cells, key).reindex(samples)
        frame["limit"] = limits[limit].reindex(samples)
        if frame["median"].notna().any():
            log = key != Obs.PCT_MT
            variants.append(Variant(label, _boxes(frame, label, side), _upright(label, log=log), frame.reset_index()))
    return Figure(
        id="qc-distributions",
        title="Quality metrics and limits",
        choose="Metric",
        source="qc.tsv",
        caption="Boxes: quartiles of all barcodes of a sample, whiskers: 5th and 95th percentile. "
        "Orange lines: the limit of that sample, by median absolute deviations unless the settings fix it (qc.fixed); "
        "what lies beyond was dropped.",
        empty="No sample went through quality control.",
        variants=variants,
    )


def _quantiles(cells: pd.DataFrame, key: str) -> pd.DataFrame:
    names = {0.05: "low", 0.25: "q1", 0.5: "median", 0.75: "q3", 0.95: "high"}
    if cells.empty:
        return pd.DataFrame(columns=[*names.values()], dtype=float)
    return cells.groupby(Obs.SAMPLE, sort=True)[key].quantile(list(names)).unstack().rename(columns=names)


def _boxes(frame: pd.DataFrame, label: str, side: str) -> list[dict]:
    names = list(frame.index)
    stats = {
        k: clean(frame[v])
        for k, v in {"q1": "q1", "median": "median", "q3": "q3", "lowerfence": "low", "upperfence": "high"}.items()
    }
    box = {
        "type": "box",
        "x": names,
        "name": label,
        "showlegend": False,
        "fillcolor": "#d7e6f1",
        "line": {"color": ACCENT, "width": 1.2},
        **stats,
    }
    line = {
        "type": "scatter",
        "mode": "markers",
        "x": names,
        "y": clean(frame["limit"]),
        "name": side,
        "marker": {"symbol": "line-ew", "size": 16, "line": {"width": 2.4, "color": WARN}},
        "hovertemplate": "%{x}<br>" + side + " %{y}<extra></extra>",
    }
    return [box, line] if frame["limit"].notna().any() else [box]


def _upright(label: str, *, log: bool) -> dict:
    y = axis(label, type="log", dtick=1) if log else axis(label, rangemode="tozero")
    return {"height": 380, "yaxis": y, "xaxis": {"type": "category", "automargin": True, "tickangle": -45}}


def doublets(qc: pd.DataFrame, samples: list[str]) -> Figure:
    """Share of doublets called against the share expected from the loading."""
    frame = qc.loc[
        qc["expected_doublet_rate"].notna() & qc["n_barcodes"].gt(0),
        ["sample", "n_doublet", "n_barcodes", "expected_doublet_rate"],
    ]
    frame = _in_order(frame, samples)
    frame["called"] = frame["n_doublet"] / frame["n_barcodes"]
    names = list(frame["sample"])
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": clean(frame["called"] * 100),
            "name": "called",
            "marker": {"color": DROPPED["doublet"]},
            "hovertemplate": "%{y}<br>%{x:.1f}% called<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "y": names,
            "x": clean(frame["expected_doublet_rate"] * 100),
            "name": "expected",
            "marker": {"symbol": "line-ns", "size": 14, "line": {"width": 2.4, "color": WARN}},
            "hovertemplate": "%{y}<br>%{x:.1f}% expected<extra></extra>",
        },
    ]
    layout = {
        "height": rows_high(len(names)),
        "xaxis": axis("% of barcodes", rangemode="tozero"),
        "yaxis": reversed_axis(),
    }
    return Figure(
        id="qc-doublets",
        title="Doublets",
        source="qc.tsv",
        caption="Share of barcodes called doublets, beside the share expected from the number "
        "of cells loaded. "
        "Doublets of two cells of one type are hard to see and do little harm.",
        empty="Doublets were not looked for in any sample: too few cells, plates, or values other than counts.",
        variants=[Variant("", data, layout, frame)] if len(frame) else [],
    )


def dropped(table: pd.DataFrame, samples: list[str]) -> Figure:
    """Share of each provisional type that quality control dropped, sample by sample.

    Args:
        table: `dropped.tsv`.
        samples: order.
    """
    variants = []
    typed = table[table["provisional_type"] != UNKNOWN]
    if len(typed):
        types = in_order(typed["provisional_type"])
        rows = [s for s in samples if s in set(table["sample"])]
        cells = {(row["sample"], row["provisional_type"]): row for row in typed.to_dict("records")}
        shares = typed.pivot_table(index="sample", columns="provisional_type", values="share_dropped")
        shares = shares.reindex(index=rows, columns=types)
        trace = heat_map(
            shares,
            scale=SEQUENTIAL,
            label="share dropped",
            limit=(0, 1),
            column_name=words,
            text=lambda sample, kind: _dropped_words(cells.get((sample, kind)), sample, kind),
            mark=lambda sample, kind: bool(cells.get((sample, kind), {}).get("flagged")),
            mark_font={"size": 18, "color": WARN},
        )
        layout = {
            "height": rows_high(len(rows), frame=150),
            "yaxis": reversed_axis(),
            "xaxis": {"type": "category", "tickangle": -45, "automargin": True},
        }
        variants = [Variant("", [trace], layout, table)]
    return Figure(
        id="qc-dropped",
        title="A second look: which cell types were dropped",
        source="dropped.tsv",
        caption="Barcodes that are neither empty nor doublets are typed here by their markers alone; the colour is the "
        "share of a type that the limits dropped. An orange dot marks a type that lost more than qc.flag_type of at "
        "least qc.flag_cells barcodes: a limit may have mistaken it for damaged cells. Blank: no barcode of that type. "
        "Barcodes that show no type are in the table.",
        empty="No barcode could be looked at a second time.",
        variants=variants,
    )


def _dropped_words(cell: dict | None, sample: str, kind: str) -> str:
    """What pointing at a type of a sample says."""
    if cell is None:
        return f"{sample}<br>{words(kind)}: none"
    why = f", most for {words(cell['main_reason'])}" if cell["main_reason"] else ""
    return f"{sample}<br>{words(kind)}: {cell['n_dropped']} of {cell['n_barcodes']} dropped{why}"


def ambient(shares: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Ambient share of the kept cells by sample.

    Args:
        shares: kept cells; `sample, ambient_share`.
        samples: `sample, technology`, in the order of the figure.
    """
    plates = list(samples.loc[samples["technology"] == PLATES, "sample"])
    droplets = [s for s in samples["sample"] if s not in plates]
    frame = _quantiles(shares.dropna(), "ambient_share").reindex(droplets) * 100
    box = _boxes(frame.assign(limit=np.nan), "ambient share", "") if len(shares) else []
    layout = _upright("% of a cell's counts", log=False)
    alone = f"Not shown, because cells on plates share no fluid: {listed(plates)}. " if plates else ""
    return Figure(
        id="qc-ambient",
        title="Ambient RNA",
        source="../cohort/annotation.parquet",
        caption="Estimated share of ambient RNA in the counts of a kept cell, from marker genes that its lineage does "
        "not express, compared with the sample's mean profile. Boxes: quartiles over cells, whiskers: 5th and 95th "
        "percentile. Annotation and contrasts take it into account; a sample far above the others deserves a look. "
        f"{alone}Cells in which no such gene was measured are left out.",
        empty="Ambient RNA was not estimated: the cells lie on plates, none passed, or the method `ambient` is not "
        "among annotate.methods.",
        variants=[Variant("", box, layout, frame.reset_index())] if frame["median"].notna().any() else [],
    )


def genes_lost(lost: pd.DataFrame, samples: list[str], *, warn: float) -> Figure:
    """Share of each sample's counts on features that the gene table does not know."""
    lost = _in_order(lost, samples)
    share = lost["share_counts_lost"] * 100
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": list(lost["sample"]),
            "x": clean(share),
            "marker": {"color": [WARN if s > warn * 100 else ACCENT for s in share]},
            "customdata": [
                list(row) for row in zip(clean(lost["n_lost"]), lost["lost_top"].fillna("none"), strict=True)
            ],
            "hovertemplate": "%{y}<br>%{x:.2f}% of counts, %{customdata[0]} features<br>largest: "
            "%{customdata[1]}<extra></extra>",
        }
    ]
    layout = {
        "height": rows_high(len(lost)),
        "xaxis": axis("% of counts", rangemode="tozero"),
        "yaxis": reversed_axis(),
        "showlegend": False,
    }
    return Figure(
        id="qc-genes",
        title="Counts lost with unknown genes",
        source="genes_lost.tsv",
        caption="Share of a sample's counts on features that could not be mapped to an Ensembl gene. Above "
        f"{warn:.0%} (orange) the log warns.",
        empty="Every count of every sample lies on a known gene."
        if len(lost)
        else "No sample was mapped to the genes.",
        variants=[Variant("", data, layout, lost)] if share.gt(0).any() else [],
    )


def _in_order(table: pd.DataFrame, samples: list[str]) -> pd.DataFrame:
    """Rows in the order of the samples that every figure has."""
    return table.set_index("sample").reindex([s for s in samples if s in set(table["sample"])]).reset_index()


def coverage(table: pd.DataFrame, samples: list[str], names: Mapping[str, str]) -> Figure:
    """Share of each signature's genes measured, by sample."""
    variants: list[Variant] = []
    if len(table):
        table = table.assign(share=table["n_measured"] / table["n_listed"].clip(lower=1))
        table["seen"] = table["n_detected"] / table["n_listed"].clip(lower=1)
        for label, column in (("measured by the platform", "share"), ("detected in the sample", "seen")):
            matrix = table.pivot_table(index="signature", columns="sample", values=column, sort=False)
            matrix = matrix.reindex(columns=[s for s in samples if s in matrix])
            order = matrix.mean(axis=1).sort_values(kind="stable").index
            matrix = matrix.loc[order].rename(index=lambda k: names.get(k, k))
            trace = heat_map(matrix, scale=SEQUENTIAL, label="share of genes", limit=(0, 1))
            layout = {
                "height": rows_high(len(matrix), row=13),
                "yaxis": reversed_axis(tickfont={"size": 9}),
                "xaxis": {"type": "category", "tickangle": -45, "automargin": True},
            }
            variants.append(Variant(label, [trace], layout, matrix.reset_index()))
    return Figure(
        id="signature-coverage",
        title="How much of each signature could be read",
        choose="Share of listed genes",
        source="coverage.tsv",
        caption="Share of a signature's genes that a sample's platform measures, least covered on top. A "
        "signature is scored "
        "where enough of it is measured, else it is missing (never zero).",
        empty="No signature was looked for.",
        variants=variants,
    )
