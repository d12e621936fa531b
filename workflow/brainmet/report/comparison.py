"""Figures of what differs between conditions: contrasts, enrichment, differential expression."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmet.compare.estimators import CONFOUNDED, POOLED
from brainmet.contract import Compartment
from brainmet.report.figure import Figure, Variant, axis, clean, heat_map, reversed_axis, rows_high
from brainmet.report.forest import contrasts, forest
from brainmet.report.palette import ACCENT, DIVERGING, DOUBTED, MUTED, UNCLEAR
from brainmet.report.wording import compartment_words, contrast_words, counted, prose, start, words

Names = Mapping[str, str]
MOST_CONTRASTS = 40
"""Rows of one contrast that are drawn."""
MOST_SETS = 50
"""Signatures of one contrast whose enrichment is drawn."""
NAMED_GENES = 15
"""Genes of a volcano plot that are named, at most."""
REASONS = 3
"""Reasons that are told apart, commonest first."""
LETTERS = 52
"""Of a signature's name beside a forest, at most."""
SMALLEST_P = 1e-300
"""Smaller values of p are drawn at this one."""


def contrast_forest(table: pd.DataFrame, names: Names, *, alpha: float) -> Figure:
    """By contrast: the signatures with the strongest evidence."""
    variants = []
    for label, rows in contrasts(table):
        rows = _once(rows).sort_values("p", kind="stable").head(MOST_CONTRASTS).sort_values("effect", kind="stable")
        labels = (
            rows["signature"].map(lambda k: _short(names.get(k, k))) + " · " + rows["cell_type"].map(compartment_words)
        )
        variants.append(Variant(label, *forest(rows, labels, alpha=alpha), rows))
    return Figure(
        id="contrasts-forest",
        title="Signatures that differ between conditions",
        choose="Contrast",
        source="contrasts.tsv",
        caption="Hedges' g, first condition minus second, with 95% intervals; the donors are the replicates. Shown are "
        f"the {MOST_CONTRASTS} rows of smallest p. Filled: FDR below {alpha:g}. "
        "Orange: the FDR is as low, but something else may explain the difference, such as ambient RNA or the cell "
        "cycle; hover to see what. Effects of three or more studies are pooled by random effects, of fewer by fixed "
        "effects.",
        empty="No contrast could be tested: a condition lacks donors, or conditions lie in different studies (see "
        "the reasons in the table).",
        variants=variants,
    )


def _once(rows: pd.DataFrame) -> pd.DataFrame:
    """Without compartments of the same cells under another name, such as malignant cells that all are epithelial."""
    same = ["signature", "contrast", "study", "effect", "ci_low", "ci_high", "n_a", "n_b"]
    return rows.sort_values("cell_type", kind="stable").drop_duplicates(same).sort_index()


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1].rstrip() + "…"


def study_forest(table: pd.DataFrame, names: Names, *, alpha: float) -> Figure:
    """By signature: every study and the pooled effect, for all contrasts and compartments."""
    variants = []
    shown = _once(table[table["effect"].notna()])
    strength = (shown["p"].where(shown["study"] == POOLED)).groupby(shown["signature"]).min()
    groups = dict(list(shown.groupby("signature", sort=True)))
    for key in strength.sort_values(kind="stable").index:  # the clearest signature is shown first
        rows = groups[key]
        rows = rows.sort_values(
            ["contrast", "cell_type", "study"],
            kind="stable",
            key=lambda c: c.map(lambda v: "~" + str(v) if v == POOLED else str(v)),
        )
        labels = (
            rows["cell_type"].map(compartment_words)
            + " · "
            + rows["contrast"].map(contrast_words)
            + " · "
            + rows["study"]
            + np.where(rows["estimator"] == CONFOUNDED, ", confounded", "")
        )
        rows, labels = rows.iloc[::-1], labels.iloc[::-1]
        traces, layout = forest(rows.assign(fdr=rows["fdr"].fillna(1)), labels, alpha=alpha)
        pooled = (rows["study"] == POOLED).to_numpy()
        traces[0]["marker"] |= {
            "symbol": ["diamond" if p else "circle" for p in pooled],
            "size": [12 if p else 8 for p in pooled],
        }
        variants.append(
            Variant(names.get(str(key), str(key)), traces, layout | {"height": rows_high(len(rows), row=26)}, rows)
        )
    return Figure(
        id="contrasts-studies",
        title="One signature across studies",
        choose="Signature",
        source="contrasts.tsv",
        caption="Effect of every study (circles) and the pooled one (diamonds), 95% intervals; a confounded one lies "
        "between studies and is never judged. An effect that one study alone carries is a finding about that study. "
        "Signatures in the list: clearest first.",
        empty="No contrast could be tested in any study.",
        variants=variants,
    )


def not_tested(table: pd.DataFrame) -> pd.DataFrame:
    """Why contrasts were not tested, one row per contrast and outcome: `contrast, estimator, n_tests, reason`."""
    tests = table[(table["study"] == POOLED) & table["effect"].isna()]
    grouped = tests.groupby(["contrast", "estimator"], sort=True)["reason"]
    rows = grouped.agg(n_tests="size", reason=_commonest_reasons).reset_index()
    return rows.sort_values("n_tests", ascending=False, kind="stable")


def _commonest_reasons(reasons: pd.Series) -> str:
    """The reasons of some tests as sentences, each with its number where there are several, the commonest first."""
    counts = reasons.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if len(counts) == 1:
        return f"{start(prose(str(counts.index[0])))}."
    said = [f"{start(prose(str(reason)))} ({counted(n, 'test')})." for reason, n in counts.head(REASONS).items()]
    rest = [f"Other reasons ({counted(counts[REASONS:].sum(), 'test')})."] if len(counts) > REASONS else []
    return " ".join([*said, *rest])


def enrichment(table: pd.DataFrame, names: Names, *, alpha: float) -> Figure:
    """By contrast: normalised enrichment of signatures × compartments."""
    variants = [
        _enriched(str(contrast), rows, names, alpha=alpha)
        for contrast, rows in table[table["nes"].notna()].groupby("contrast", sort=True)
    ]
    return Figure(
        id="gsea",
        title="Enrichment in the ranking of genes (GSEA)",
        choose="Contrast",
        source="gsea.tsv",
        caption="Normalised enrichment score of each signature in the genes ranked by differential "
        f"expression; the {MOST_SETS} of smallest FDR, a dot marks FDR below {alpha:g}. "
        "A competitive test that ignores correlation between genes: it describes, no verdict rests on it.",
        empty="No ranking of genes was made, so enrichment could not be tested.",
        variants=variants,
    )


def _enriched(contrast: str, rows: pd.DataFrame, names: Names, *, alpha: float) -> Variant:
    """Signatures × compartments of one contrast, smallest FDR on top."""
    side = rows["direction"].map(lambda d: "" if d in ("", "up") else f" ({d})")
    labels = rows["signature"].map(lambda k: _short(names.get(k, k))) + side
    keyed = rows.assign(row=labels)
    nes = keyed.pivot_table(index="row", columns="cell_type", values="nes")
    fdr = keyed.pivot_table(index="row", columns="cell_type", values="fdr").reindex_like(nes)
    best = fdr.min(axis=1).sort_values(kind="stable").index[:MOST_SETS]
    trace = heat_map(
        nes.loc[best],
        scale=DIVERGING,
        label="NES",
        middle=0,
        column_name=words,
        mark=lambda row, compartment: bool(fdr.loc[row, compartment] < alpha),
    )
    layout = {
        "height": rows_high(len(best), row=17, frame=150),
        "yaxis": reversed_axis(tickfont={"size": 10}),
        "xaxis": {"type": "category", "automargin": True, "side": "top"},
    }
    return Variant(contrast_words(contrast), [trace], layout, rows)


def volcano(table: pd.DataFrame, *, alpha: float, most: int) -> Figure:
    """By contrast and compartment: fold change against evidence, the most telling genes."""
    tested = table[table["p"].notna() & table["log2_fold_change"].notna()]
    groups = sorted(
        tested.groupby(["contrast", "cell_type"]), key=lambda group: (group[0][1] != Compartment.MALIGNANT, group[0])
    )
    variants = [
        _genes_of(str(contrast), str(compartment), rows, alpha=alpha, most=most)
        for (contrast, compartment), rows in groups
    ]
    return Figure(
        id="de-volcano",
        title="Genes that differ between conditions",
        choose="Compartment and contrast",
        source="de.tsv",
        caption="pydeseq2 on pseudobulk with study as covariate, or the donor where a study sampled donors in both "
        f"conditions (`design` in the table); the {most} genes of smallest p of each test are drawn, "
        f"blue where FDR is below {alpha:g}, the clearest named where there is room. Orange: clear too, but much of "
        "the gene's count may come from the sample's other cells (ambient_flag and ambient_max in the table).",
        empty="No compartment has enough donors on both sides to test single genes.",
        variants=variants,
    )


def _genes_of(contrast: str, compartment: str, rows: pd.DataFrame, *, alpha: float, most: int) -> Variant:
    """The genes of smallest p of one test."""
    drawn = rows.sort_values("p", kind="stable").head(most)
    x, y = drawn["log2_fold_change"], -np.log10(drawn["p"].clip(lower=SMALLEST_P))
    clear, ambient = drawn["fdr"].lt(alpha), drawn["ambient_flag"].astype(bool)
    shades = np.where(clear, np.where(ambient, DOUBTED, ACCENT), UNCLEAR)
    trace = {
        "type": "scatter",
        "mode": "markers+text",
        "x": clean(x),
        "y": clean(y),
        "text": list(drawn["symbol"].where(clear & _apart(x.to_numpy(float), y.to_numpy(float)), "")),
        "textposition": "top center",
        "textfont": {"size": 10},
        "customdata": list(drawn["symbol"]),
        "marker": {"size": 5, "color": shades.tolist()},
        "showlegend": False,
        "hovertemplate": "%{customdata}<br>log2 fold change %{x:.2f}<br>−log10 p %{y:.2f}<extra></extra>",
    }
    layout = {
        "height": 420,
        "xaxis": axis("log2 fold change", zeroline=True, zerolinecolor=MUTED),
        "yaxis": axis("−log10 p", rangemode="tozero"),
    }
    label = f"{compartment_words(compartment)}: {contrast_words(contrast)} ({len(rows):,} genes)"
    return Variant(label, [trace], layout, drawn)


def _apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which of the points, best first, can be named without their names lying on each other."""
    named: list[tuple[float, float]] = []
    wide, high = np.ptp(x) * 0.07 if len(x) else 0.0, np.ptp(y) * 0.035 if len(y) else 0.0
    chosen = np.zeros(len(x), bool)
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        if len(named) < NAMED_GENES and all(abs(a - u) > wide or abs(b - v) > high for u, v in named):
            named.append((a, b))
            chosen[i] = True
    return chosen
