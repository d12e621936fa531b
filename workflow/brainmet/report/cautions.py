"""The first screen: what to distrust, worst first."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from brainmet.contract import UNKNOWN, Obs
from brainmet.documents import written
from brainmet.estimators import TRANSFER
from brainmet.report.forest import POOLED
from brainmet.report.wording import contrast_words, listed, prose, start, words


@dataclass(frozen=True)
class Warning:
    """Something to distrust: `level` is serious, caution or note; `view` the section that shows it."""

    level: str
    title: str
    detail: str
    view: str


@dataclass(frozen=True)
class Limits:
    """When the page warns; see `config: report`."""

    warn_lost: float
    min_agreement: float
    max_unknown: float


def distrust(
    tables: Mapping[str, pd.DataFrame], annotation: pd.DataFrame, *, limits: Limits, simulated: bool
) -> list[Warning]:
    """Reasons for caution, worst first."""
    found = [
        *(_simulated() if simulated else []),
        *_contrasts(tables["contrasts"]),
        *_nulls(tables["nulls"]),
        *_quality(tables["qc"], tables["genes_lost"], limits),
        *_dropped(tables["dropped"]),
        *_identity(tables["concordance"], annotation, limits),
        *_integration(tables["integration"]),
        *_duplicates(tables["duplicates"]),
        *_samples(tables["samples"]),
        *_signatures(tables["coverage"]),
    ]
    rank = {"serious": 0, "caution": 1, "note": 2}
    return sorted(found, key=lambda warning: rank[warning.level])


def _simulated() -> list[Warning]:
    return [
        Warning(
            "serious",
            "The data are simulated",
            "Nothing on this page is a finding about patients. It shows how much of the simulated truth the workflow "
            "recovers.",
            "recovery",
        )
    ]


_MOST = 6
"""Reasons named in one caution at most."""
_UNTESTED = {
    "confounded": ("serious", "is confounded with study", "contrasts are confounded with study"),
    "refused": ("caution", "was refused", "contrasts were refused"),
    "not_testable": ("caution", "could not be tested", "contrasts could not be tested"),
}
"""By estimator: how bad that is, what is said of one contrast and of several."""


def _contrasts(table: pd.DataFrame) -> list[Warning]:
    """Contrasts without a verdict: those confounded in any test, and those that failed in all."""
    pooled = table[(table["study"] == POOLED) & (table["estimator"] != TRANSFER)]
    told: dict[str, list[tuple[str, str]]] = {}
    for contrast, own in pooled.groupby("contrast", sort=True):
        for estimator in _UNTESTED:
            bad = own[own["estimator"] == estimator]
            if len(bad) and (len(bad) == len(own) or estimator == "confounded"):
                reason = prose(bad["reason"].value_counts().index[0])
                part = "" if len(bad) == len(own) else f"{len(bad)} of {len(own)} tests; mostly: "
                told.setdefault(estimator, []).append((start(contrast_words(str(contrast))), part + reason))
                break
    found = []
    for estimator, (level, one, several) in _UNTESTED.items():
        if len(own := told.get(estimator, [])) == 1:
            found.append(Warning(level, f"{own[0][0]} {one}", f"{start(own[0][1])}.", "contrasts"))
        elif own:
            detail = "; ".join(f"{name} ({reason})" for name, reason in own)
            found.append(Warning(level, f"{len(own)} {several}", f"{detail}.", "contrasts"))
    return found


def _nulls(table: pd.DataFrame) -> list[Warning]:
    """Nulls in which more was found than chance allows: permuted labels, and random sets of genes."""
    over = table[table["exceeded"]]
    labels, sets = over[over["kind"] == "labels"], over[over["kind"] != "labels"]
    found = [
        Warning(
            "serious",
            "The tests find something when there is nothing to find",
            f"With the donors' labels permuted, {row['runs_with_discovery']} of {row['n_runs']} runs had a discovery; "
            f"chance explains at most {row['most_expected']}: {row['reading']}.",
            "contrasts",
        )
        for row in labels.to_dict("records")
    ]
    return [*found, *_random_sets(sets)]


def _random_sets(table: pd.DataFrame) -> list[Warning]:
    """One warning for all compartments whose random sets of genes pass more often than chance allows: what that means
    differs between compartments."""
    if table.empty:
        return []
    table = table.sort_values("runs_with_discovery", ascending=False, kind="stable")
    inside = table["kind"].str.removeprefix("random_sets in ")
    home = inside.str.split(",").str[0].map(words)
    runs = zip(inside, table["runs_with_discovery"], table["n_runs"], strict=True)
    each = [f"{words(kind)} {found} of {n}" for kind, found, n in runs]
    readings = [f"In {listed(list(own.unique()))}: {why}." for why, own in home.groupby(table["reading"], sort=False)]
    return [
        Warning(
            "caution",
            f"Random gene sets differ between conditions too: in {listed(list(home.unique()))}",
            f"Runs with a discovery: {'; '.join(each)}; chance explains at most {table['most_expected'].max()}. "
            f"{' '.join(readings)}",
            "contrasts",
        )
    ]


def _dropped(table: pd.DataFrame) -> list[Warning]:
    """Cell types that quality control may have taken."""
    flagged = table[table["flagged"].astype(bool)].sort_values("share_dropped", ascending=False, kind="stable")
    if flagged.empty:
        return []
    each = [
        f"{words(kind)} in {sample} ({share:.0%}, most for {words(why)})"
        for kind, sample, share, why in zip(
            flagged["provisional_type"],
            flagged["sample"],
            flagged["share_dropped"],
            flagged["main_reason"],
            strict=True,
        )
    ]
    return [Warning("caution", "Quality control dropped much of a cell type", f"{listed(each)}.", "quality")]


def _quality(qc: pd.DataFrame, lost: pd.DataFrame, limits: Limits) -> list[Warning]:
    found = []
    if excluded := list(qc.loc[qc["status"] != "kept", "sample"]):
        found.append(
            Warning(
                "note",
                f"{len(excluded)} sample{'s' if len(excluded) > 1 else ''} excluded by the configuration",
                listed(excluded),
                "quality",
            )
        )
    flagged = qc[qc["flag"].fillna("") != ""]
    for flag, own in flagged.groupby("flag", sort=True):
        found.append(
            Warning("caution", "Quality control raised a flag", f"{listed(list(own['sample']))}: {flag}.", "quality")
        )
    skipped = qc[(qc["status"] == "kept") & (qc["doublet_skipped"].fillna("") != "")]
    if len(skipped):
        reasons = [f"{listed(list(own['sample']))}: {why}" for why, own in skipped.groupby("doublet_skipped")]
        more = [f"{len(reasons) - _MOST} more reasons"] if len(reasons) > _MOST else []
        found.append(
            Warning(
                "note",
                f"Doublets were not looked for in {len(skipped)} sample{'s' if len(skipped) > 1 else ''}",
                "; ".join([*reasons[:_MOST], *more]) + ".",
                "quality",
            )
        )
    heavy = lost[lost["share_counts_lost"] > limits.warn_lost].sort_values(
        "share_counts_lost", ascending=False, kind="stable"
    )
    if len(heavy):
        each = [f"{s} ({v:.0%})" for s, v in zip(heavy["sample"], heavy["share_counts_lost"], strict=True)]
        found.append(Warning("caution", "Many counts were lost with unknown genes", f"{listed(each)}.", "quality"))
    return found


def _identity(concordance: pd.DataFrame, annotation: pd.DataFrame, limits: Limits) -> list[Warning]:
    found = []
    accuracy = concordance[concordance["class"] == "accuracy"].set_index("scope")["recall"]
    low = accuracy.drop("cohort", errors="ignore")[lambda a: a < limits.min_agreement].sort_values(kind="stable")
    if len(low):
        found.append(
            Warning(
                "caution",
                "Low agreement with the authors' labels",
                f"{listed([f'{s} ({v:.0%})' for s, v in low.items()])}; below {limits.min_agreement:.0%}.",
                "identity",
            )
        )
    unknown = (annotation[Obs.CELL_TYPE] == UNKNOWN).groupby(annotation[Obs.SAMPLE]).mean()
    high = unknown[unknown > limits.max_unknown].sort_values(ascending=False, kind="stable")
    if len(high):
        found.append(
            Warning(
                "caution",
                "Many cells left unknown",
                f"{listed([f'{s} ({v:.0%})' for s, v in high.items()])}.",
                "identity",
            )
        )
    if accuracy.empty:
        found.append(
            Warning(
                "note",
                "No authors' labels to compare with",
                "The annotation rests on marker genes, neighbours and copy number alone.",
                "identity",
            )
        )
    return found


def _integration(table: pd.DataFrame) -> list[Warning]:
    merged = table[table["alarm"] != ""]
    shares = [f" {a:.0%} and {b:.0%}" for a, b in zip(merged["own_before"], merged["own_after"], strict=True)]
    told = merged["label"].map(prose).str.cat(shares)
    tumours, kinds = (list(told[merged["level"] == level]) for level in ("tumours", "types"))
    found = []
    if tumours:
        detail = (
            "Share of a tumour cell's neighbours that come from its own donor, before and after integration: "
            f"{listed(tumours)}. To compare tumours, use the space of malignant cells (X_umap_malignant in the atlas), "
            "which is not integrated."
        )
        title = (
            f"Integration mixed the tumour cells of {len(tumours)} donor{'s' if len(tumours) > 1 else ''} with others"
        )
        found.append(Warning("note", title, detail, "identity"))
    if kinds:
        detail = (
            f"Share of a cell's neighbours that are of its own type, before and after integration: {listed(kinds)}. "
            "Run once with embed.integrate: none and compare."
        )
        title = f"Integration mixed {len(kinds)} cell type{'s' if len(kinds) > 1 else ''} with others"
        found.append(Warning("caution", title, detail, "identity"))
    return found


def _duplicates(table: pd.DataFrame) -> list[Warning]:
    return [
        Warning(
            "caution" if row["left_out"] else "serious",
            f"{row['sample_a']} and {row['sample_b']} hold the same cells",
            f"{row['share']:.0%} of the smaller one; "
            + (
                f"{row['left_out']} is left out of everything that counts donors."
                if row["left_out"]
                else f"each counts as a donor of its own; leave one out with exclude: [{written(row['exclude'])}]."
            ),
            "quality",
        )
        for row in table.to_dict("records")
    ]


def _samples(samples: pd.DataFrame) -> list[Warning]:
    found = []
    small = samples[samples["n_kept"] < 50]
    if len(small):
        found.append(
            Warning(
                "caution",
                "Samples with fewer than 50 kept cells",
                f"{listed(list(small['sample']))}: too few for shares of cell types.",
                "quality",
            )
        )
    other = samples[samples["values"].fillna("counts") != "counts"]
    if len(other):
        kinds = ", ".join(sorted(set(other["values"])))
        found.append(
            Warning(
                "caution",
                f"{len(other)} sample{'s do' if len(other) > 1 else ' does'} not hold counts",
                f"{listed(list(other['sample']))}: {words(kinds)}; annotated and scored, not used where counts "
                "are needed.",
                "quality",
            )
        )
    sorted_ = samples[~samples["enrichment"].fillna("none").isin(["none", UNKNOWN, ""])]
    if len(sorted_):
        found.append(
            Warning(
                "note",
                f"{len(sorted_)} sample{'s were' if len(sorted_) > 1 else ' was'} enriched before loading",
                f"{listed(list(sorted_['sample']))}: their composition is that of the sorting.",
                "composition",
            )
        )
    return found


def _signatures(coverage: pd.DataFrame) -> list[Warning]:
    never = coverage.groupby("signature")["scorable"].max() if len(coverage) else pd.Series(dtype=bool)
    missing = list(never[~never.astype(bool)].index)
    if not missing:
        return []
    return [
        Warning(
            "note",
            f"{len(missing)} signature{'s' if len(missing) > 1 else ''} could be scored in no sample",
            f"{listed([words(m) for m in missing])}: too few of the genes are measured.",
            "signatures",
        )
    ]
