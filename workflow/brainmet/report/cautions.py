"""Reasons for caution, worst first: what the first screen names under "What to distrust"."""

from dataclasses import dataclass

import pandas as pd

from brainmet.compare.coincidence import PROTOCOL
from brainmet.compare.estimators import CONFOUNDED, NOT_TESTABLE, POOLED, REFUSED, TRANSFER
from brainmet.contract import BY_HAND, UNKNOWN, Null, Obs
from brainmet.core.documents import written
from brainmet.report.content import Content, Settings
from brainmet.report.wording import compartment_words, contrast_words, counted, listed, prose, start, words

LEVELS = ("serious", "caution", "note")
"""How bad it is, worst first."""


@dataclass(frozen=True)
class Caution:
    """A reason not to take a result at its word.

    Attributes:
        level: one of `LEVELS`.
        title: what it is, in a few words.
        detail: where, how much and what to do, in a sentence.
        view: the section that shows it.
    """

    level: str
    title: str
    detail: str
    view: str


def cautions(content: Content) -> list[Caution]:
    """All reasons for caution in a run, worst first."""
    tables, settings = content.tables, content.settings
    found = [
        *(_simulated() if content.simulated else []),
        *_contrasts(tables["contrasts"]),
        *_coinciding(tables["contrasts"]),
        *_nulls(tables["nulls"]),
        *_quality(tables["qc"]),
        *_genes_lost(tables["genes_lost"], settings),
        *_dropped(tables["dropped"]),
        *_identity(tables["concordance"], content.run.annotation, settings),
        *_by_hand(content.run.annotation),
        *_integration(tables["integration"]),
        *_duplicates(tables["duplicates"]),
        *_samples(tables["samples"]),
        *_signatures(tables["coverage"]),
    ]
    return sorted(found, key=lambda caution: LEVELS.index(caution.level))


def _simulated() -> list[Caution]:
    return [
        Caution(
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
    CONFOUNDED: ("serious", "is confounded with study", "contrasts are confounded with study"),
    REFUSED: ("caution", "was refused", "contrasts were refused"),
    NOT_TESTABLE: ("caution", "could not be tested", "contrasts could not be tested"),
}
"""By estimator: how bad that is, what is said of one contrast and of several."""


def _contrasts(table: pd.DataFrame) -> list[Caution]:
    """Contrasts without a verdict: those confounded in any test, and those that failed in all."""
    pooled = table[(table["study"] == POOLED) & (table["estimator"] != TRANSFER)]
    unjudged: dict[str, list[tuple[str, str]]] = {}
    for contrast, rows in pooled.groupby("contrast", sort=True):
        for estimator in _UNTESTED:
            bad = rows[rows["estimator"] == estimator]
            if len(bad) and (len(bad) == len(rows) or estimator == CONFOUNDED):
                reason = prose(bad["reason"].value_counts().index[0])
                part = "" if len(bad) == len(rows) else f"{len(bad)} of {len(rows)} tests; mostly: "
                unjudged.setdefault(estimator, []).append((start(contrast_words(str(contrast))), part + reason))
                break
    found = []
    for estimator, (level, one, several) in _UNTESTED.items():
        named = unjudged.get(estimator, [])
        if len(named) == 1:
            [(name, reason)] = named
            found.append(Caution(level, f"{name} {one}", f"{start(reason)}.", "contrasts"))
        elif named:
            detail = "; ".join(f"{name} ({reason})" for name, reason in named)
            found.append(Caution(level, f"{len(named)} {several}", f"{detail}.", "contrasts"))
    return found


def _coinciding(table: pd.DataFrame) -> list[Caution]:
    """Contrasts with findings that cannot be told from a step of the protocol, which changes with the condition in
    every study."""
    explained = table["explained_by"].fillna("").str.split(";")
    steps = explained.map(lambda names: [name for name in PROTOCOL if name in names])
    marked = table.assign(steps=steps)[(table["study"] == POOLED) & (steps.str.len() > 0)]
    found = []
    for contrast, rows in marked.groupby("contrast", sort=True):
        named = listed([words(step) for step in PROTOCOL if any(step in each for each in rows["steps"])])
        found.append(
            Caution(
                "serious",
                f"{start(contrast_words(str(contrast)))} cannot be told from {named}",
                f"In every study the two groups differ in {named} too, so {counted(len(rows), 'difference')} with a "
                "low FDR may come from either. Claims that rest on them read inconclusive.",
                "contrasts",
            )
        )
    return found


def _nulls(table: pd.DataFrame) -> list[Caution]:
    """Nulls in which more was found than chance allows: permuted labels, and random sets of genes."""
    over = table[table["exceeded"]]
    return [*_labels(over[over["null"] == Null.LABELS]), *_random_sets(over[over["null"] == Null.RANDOM_SETS])]


def _labels(over: pd.DataFrame) -> list[Caution]:
    return [
        Caution(
            "serious",
            "The tests find something when there is nothing to find",
            f"With the donors' labels permuted, {row['runs_with_discovery']} of {row['n_runs']} runs had a discovery; "
            f"chance explains at most {row['most_expected']}: {row['reading']}.",
            "contrasts",
        )
        for row in over.to_dict("records")
    ]


def _random_sets(over: pd.DataFrame) -> list[Caution]:
    """One caution for all compartments whose random sets of genes pass more often than chance allows: what that means
    differs between compartments."""
    if over.empty:
        return []
    rows = over.sort_values("runs_with_discovery", ascending=False, kind="stable")
    where = rows["compartment"].map(compartment_words)
    names = where + rows["profiles"].map({Null.LESS_AMBIENT: ", less ambient RNA"}).fillna("")
    runs = zip(names, rows["runs_with_discovery"], rows["n_runs"], strict=True)
    each = [f"{name} {n} of {n_runs}" for name, n, n_runs in runs]
    grouped = where.groupby(rows["reading"], sort=False)
    readings = [f"{start(listed(list(names.unique())))}: {why}." for why, names in grouped]
    return [
        Caution(
            "caution",
            f"Random gene sets differ between conditions too: in {listed(list(where.unique()))}",
            f"Runs with a discovery: {'; '.join(each)}; chance explains at most {rows['most_expected'].max()}. "
            f"{' '.join(readings)}",
            "contrasts",
        )
    ]


def _dropped(table: pd.DataFrame) -> list[Caution]:
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
    return [Caution("caution", "Quality control dropped much of a cell type", f"{listed(each)}.", "quality")]


def _quality(qc: pd.DataFrame) -> list[Caution]:
    """Samples left out, samples that a check of quality control flagged, and those without a search for doublets."""
    found = []
    if excluded := list(qc.loc[qc["status"] != "kept", "sample"]):
        title = f"{counted(len(excluded), 'sample')} excluded by the configuration"
        found.append(Caution("note", title, f"{listed(excluded)}.", "quality"))
    for flag, rows in qc[qc["flag"].fillna("") != ""].groupby("flag", sort=True):
        detail = f"{listed(list(rows['sample']))}: {flag}."
        found.append(Caution("caution", "Quality control raised a flag", detail, "quality"))
    skipped = qc[(qc["status"] == "kept") & (qc["doublet_skipped"].fillna("") != "")]
    if len(skipped):
        reasons = [f"{listed(list(rows['sample']))}: {why}" for why, rows in skipped.groupby("doublet_skipped")]
        more = [f"{len(reasons) - _MOST} more reasons"] if len(reasons) > _MOST else []
        title = f"Doublets were not looked for in {counted(len(skipped), 'sample')}"
        found.append(Caution("note", title, "; ".join([*reasons[:_MOST], *more]) + ".", "quality"))
    return found


def _genes_lost(table: pd.DataFrame, settings: Settings) -> list[Caution]:
    heavy = table[table["share_counts_lost"] > settings.warn_lost]
    heavy = heavy.sort_values("share_counts_lost", ascending=False, kind="stable")
    if heavy.empty:
        return []
    each = [f"{name} ({share:.0%})" for name, share in zip(heavy["sample"], heavy["share_counts_lost"], strict=True)]
    return [Caution("caution", "Many counts were lost with unknown genes", f"{listed(each)}.", "quality")]


def _identity(concordance: pd.DataFrame, annotation: pd.DataFrame, settings: Settings) -> list[Caution]:
    found = []
    accuracy = concordance[concordance["class"] == "accuracy"].set_index("scope")["recall"]
    low = accuracy.drop("cohort", errors="ignore")[lambda a: a < settings.min_agreement].sort_values(kind="stable")
    if len(low):
        found.append(
            Caution(
                "caution",
                "Low agreement with the authors' labels",
                f"{listed([f'{s} ({v:.0%})' for s, v in low.items()])}; below {settings.min_agreement:.0%}.",
                "identity",
            )
        )
    unknown = (annotation[Obs.CELL_TYPE] == UNKNOWN).groupby(annotation[Obs.SAMPLE]).mean()
    high = unknown[unknown > settings.max_unknown].sort_values(ascending=False, kind="stable")
    if len(high):
        found.append(
            Caution(
                "caution",
                "Many cells left unknown",
                f"{listed([f'{s} ({v:.0%})' for s, v in high.items()])}.",
                "identity",
            )
        )
    if accuracy.empty:
        found.append(
            Caution(
                "note",
                "No authors' labels to compare with",
                "The annotation rests on marker genes, neighbours and copy number alone.",
                "identity",
            )
        )
    return found


def _by_hand(annotation: pd.DataFrame) -> list[Caution]:
    """Cells whose type was set by hand, with what they were called before: a cluster's number may have moved on."""
    found = annotation[annotation[Obs.REASON].astype(str).str.startswith(BY_HAND)]
    if found.empty:
        return []
    told = found[Obs.REASON].astype(str).str.extract(r"\((?P<place>cluster \S+|cell).*\); called (?P<was>\S+) before")
    told = told.assign(now=found[Obs.CELL_TYPE].astype(str)).replace({"place": {"cell": "single cells"}})
    sizes = told.value_counts()
    each = [f"{place}, {n} {words(was)} to {words(now)}" for (place, was, now), n in sizes.items()]
    more = [f"{len(each) - _MOST} more changes"] if len(each) > _MOST else []
    detail = f"{'; '.join([*each[:_MOST], *more])}. Numbers of clusters change with samples and settings."
    return [Caution("note", f"{counted(len(found), 'cell')} labelled by hand", detail, "identity")]


def _integration(table: pd.DataFrame) -> list[Caution]:
    merged = table[table["alarm"] != ""]
    shares = [f" {a:.0%} and {b:.0%}" for a, b in zip(merged["own_before"], merged["own_after"], strict=True)]
    named = merged["label"].map(prose).str.cat(shares)
    tumours, kinds = (list(named[merged["level"] == level]) for level in ("tumours", "types"))
    found = []
    if tumours:
        detail = (
            "Share of a tumour cell's neighbours that come from its own donor, before and after integration: "
            f"{listed(tumours)}. To compare tumours, use the space of malignant cells (X_umap_malignant in the atlas), "
            "which is not integrated."
        )
        title = f"Integration mixed the tumour cells of {counted(len(tumours), 'donor')} with others"
        found.append(Caution("note", title, detail, "identity"))
    if kinds:
        detail = (
            f"Share of a cell's neighbours that are of its own type, before and after integration: {listed(kinds)}. "
            "Run once with embed.integrate: none and compare."
        )
        title = f"Integration mixed {counted(len(kinds), 'cell type')} with others"
        found.append(Caution("caution", title, detail, "identity"))
    return found


def _duplicates(table: pd.DataFrame) -> list[Caution]:
    return [
        Caution(
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


def _samples(samples: pd.DataFrame) -> list[Caution]:
    found = []
    small = samples[samples["n_kept"] < 50]
    if len(small):
        found.append(
            Caution(
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
            Caution(
                "caution",
                f"{counted(len(other), 'sample')} without counts",
                f"{listed(list(other['sample']))}: {words(kinds)}; annotated and scored, not used where counts "
                "are needed.",
                "quality",
            )
        )
    undeclared = samples[samples["enrichment"].fillna(UNKNOWN) == UNKNOWN]
    if len(undeclared):
        found.append(
            Caution(
                "caution",
                f"Shares of cell types are not compared for {counted(len(undeclared), 'sample')}",
                f"{listed(list(undeclared['sample']))}: whether cells were enriched before loading is not declared; "
                "say enrichment: none in the dataset file where they were not.",
                "composition",
            )
        )
    sorted_ = samples[~samples["enrichment"].fillna("none").isin(["none", UNKNOWN, ""])]
    if len(sorted_):
        found.append(
            Caution(
                "note",
                f"{counted(len(sorted_), 'sample')} enriched before loading",
                f"{listed(list(sorted_['sample']))}: their composition is that of the sorting.",
                "composition",
            )
        )
    return found


def _signatures(coverage: pd.DataFrame) -> list[Caution]:
    never = coverage.groupby("signature")["scorable"].max() if len(coverage) else pd.Series(dtype=bool)
    missing = list(never[~never.astype(bool)].index)
    if not missing:
        return []
    return [
        Caution(
            "note",
            f"{counted(len(missing), 'signature')} could be scored in no sample",
            f"{listed([words(m) for m in missing])}: too few of the genes are measured.",
            "signatures",
        )
    ]
