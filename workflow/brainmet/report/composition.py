"""Figures of what the samples are made of."""

import pandas as pd

from brainmet.contract import Obs
from brainmet.report.figure import Figure, Variant, axis, clean, reversed_axis, rows_high
from brainmet.report.forest import contrasts, forest
from brainmet.report.palette import colours, in_order
from brainmet.report.wording import words


def samples_by_type(annotation: pd.DataFrame, samples: list[str]) -> Figure:
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
                "xaxis": axis("% of kept cells", range=[0, 100]) if share else axis("kept cells"),
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


def contrasts_of_types(table: pd.DataFrame, *, alpha: float) -> Figure:
    """Forest of composition contrasts."""
    variants = []
    for label, rows in contrasts(table):
        rows = rows.sort_values("effect", kind="stable")
        variants.append(Variant(label, *forest(rows, rows["cell_type"].map(words), alpha=alpha), rows))
    return Figure(
        id="composition-contrasts",
        title="Cell types that differ between conditions",
        choose="Contrast",
        source="composition.tsv",
        caption="Hedges' g of centred log-ratios with donors as replicates and 95% intervals, first condition "
        f"minus second; unenriched samples only. Filled: FDR below {alpha:g}. "
        "Shares add up to one: a type can fall because another rises.",
        empty="No contrast of composition could be tested: a condition lacks donors whose samples are declared "
        "unenriched (enrichment: none in the dataset file).",
        variants=variants,
    )
