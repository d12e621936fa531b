"""The report: every table of a run, its cells and its settings -> one page that opens without a network.

The page is data and code in one file: figures are specifications that plotly.js draws in the browser, the map of cells
is drawn on a canvas from packed bytes. Nothing is drawn here.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from brainmet.contract import Obs
from brainmet.report import agreement, comparison, composition, ecosystem, identity, methods, quality, record
from brainmet.report.cautions import Limits, distrust
from brainmet.report.data import STEPS_GENE, STEPS_SCORE, as_json, pack, squeeze
from brainmet.report.figure import Figure, table
from brainmet.report.findings import in_short, overview, verdicts
from brainmet.report.wording import contrast_words, prose, words
from brainmet.tables import empty, schema

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """A part of the page.

    Attributes:
        id: its anchor.
        title: its heading.
        about: a sentence under the heading.
        tables: names of the tables below its figures.
    """

    id: str
    title: str
    about: str
    tables: tuple[str, ...] = ()


VIEWS = (
    View(
        "map",
        "Map of cells",
        "Every kept cell, where it lies among the others and why it was called what it was called.",
    ),
    View(
        "quality",
        "Quality",
        "What went in, what was dropped and what each limit cost.",
        ("samples", "qc", "dropped", "genes_lost", "duplicates"),
    ),
    View(
        "identity",
        "Identity",
        "What the cells are, how sure that is, and where the authors disagree.",
        ("concordance", "confusion", "calibration", "cnv_arms", "cnv_windows", "markers", "stability", "integration"),
    ),
    View("composition", "Composition", "What the samples are made of.", ("composition",)),
    View(
        "signatures",
        "Signatures",
        "The curated gene signatures in every cell type, with the donors behind every mean.",
        ("signatures", "donor_scores", "donor_sets", "coverage"),
    ),
    View(
        "contrasts",
        "Contrasts",
        "What differs between conditions, with donors as replicates.",
        ("contrasts", "de", "gsea", "nulls", "correlations", "claims", "bulk"),
    ),
    View("crosstalk", "Crosstalk", "Who could talk to whom.", ("crosstalk_summary", "crosstalk")),
    View(
        "drugs",
        "Druggability",
        "Where the targets of drugs are expressed. This is not treatment advice.",
        ("druggability", "adc_coverage", "adc_antigens", "drugs"),
    ),
    View(
        "programmes",
        "Programmes",
        "What malignant cells of several donors do together, and how models compare with patients.",
        ("programmes", "programme_pairs", "fidelity"),
    ),
    View("recovery", "Recovery", "How much of the simulated truth was recovered.", ("recovery",)),
    View("methods", "Methods", "What was done, in words for a paper."),
    View("run", "Run", "Versions, settings, runtime and memory."),
)


@dataclass(frozen=True)
class Parts:
    """The files a page is put together from, as text."""

    template: str
    css: str
    js: str
    methods: str
    bib: str


@dataclass(frozen=True)
class Run:
    """What a run left: tables by name, cells, provenance, benchmarks by rule."""

    tables: Mapping[str, pd.DataFrame]
    annotation: pd.DataFrame
    layout: pd.DataFrame
    integrated: bool
    scores: pd.DataFrame
    genes: pd.DataFrame
    uses: Mapping[str, str]
    cells: pd.DataFrame
    ambient: pd.DataFrame
    provenance: Mapping[str, Any]
    benchmarks: Mapping[str, pd.DataFrame]
    names: Mapping[str, str]
    datasets: Mapping[str, Mapping[str, Any]]


def page(
    run: Run,
    parts: Parts,
    *,
    max_cells: int,
    max_scores: int,
    max_gene_values: int,
    max_rows: int,
    max_genes: int,
    warn_lost: float,
    min_agreement: float,
    max_unknown: float,
    seed: int,
) -> str:
    """The page as HTML.

    Args:
        run: what to show.
        parts: template, style and script.
        max_cells: cells on the map at most.
        max_scores: score values on the map at most.
        max_gene_values: values of genes on the map at most.
        max_rows: rows of a table on the page at most; files beside the page hold all.
        max_genes: genes of a volcano plot at most.
        warn_lost: share of counts lost above which the page warns.
        min_agreement: agreement with the authors below which it warns.
        max_unknown: share of unknown cells above which it warns.
        seed: of the sample of cells.
    """
    import jinja2

    tables = _Tables(run.tables)
    simulated = bool(tables["samples"]["simulated"].any())
    limits = Limits(warn_lost=warn_lost, min_agreement=min_agreement, max_unknown=max_unknown)
    alpha = run.provenance["config"]["compare"]["design"]["alpha"]
    figures, notes = _views(run, tables, alpha=alpha, warn_lost=warn_lost, max_genes=max_genes)
    packed = pack(
        run.annotation,
        run.layout,
        run.scores,
        run.genes,
        names=run.names,
        uses=run.uses,
        max_cells=max_cells,
        max_scores=max_scores,
        max_gene_values=max_gene_values,
        seed=seed,
    )
    drawn = {figure.id: figure.spec() for view in figures.values() for figure in view}
    shown = {name: table(tables[name], max_rows) for name in sorted(run.tables)}
    found = overview(tables["samples"], run.annotation, tables["qc"])
    claims = verdicts(tables["claims"])
    warnings = distrust(tables, run.annotation, limits=limits, simulated=simulated)
    payload = {"figures": drawn, "tables": shown, "cells": packed.meta, "simulated": simulated}
    facts = {"overview": found, "simulated": simulated, "done": _done(run, tables)}
    written = methods.write(parts.methods, parts.bib, run=run.provenance, facts=facts, datasets=run.datasets)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"words": words, "prose": prose, "against": contrast_words}
    log.info(
        "%d figures, %d tables, %d of %d cells on the map",
        len(drawn),
        len(shown),
        packed.meta["n"],
        len(run.annotation),
    )
    return environment.from_string(parts.template).render(
        views=[view for view in VIEWS if view.id != "recovery" or simulated],
        figures=figures,
        notes=notes,
        names=run.names,
        simulated=simulated,
        overview=found,
        short=in_short(found, claims, [warning.level for warning in warnings]),
        claims=claims,
        warnings=warnings,
        cited=_cited(written["references"]),
        methods=written,
        about={name: schema(name)["description"] for name in shown},
        tables=shown,
        cells=packed.meta,
        steps={"scores": STEPS_SCORE + 1, "genes": STEPS_GENE + 1},
        software=run.provenance["software"],
        config=_flat(run.provenance["config"]),
        datasets={name: _described(document) for name, document in run.datasets.items()},
        css=parts.css,
        js=parts.js,
        payload=squeeze(as_json(payload)),
        blob=squeeze(packed.blob),
        plotly=squeeze(_plotly()),
        placed=_placed(shown),
    )


CITES = {
    "cells": ("McInnes2018", "Korsunsky2019"),
    "qc-fate": ("Amezquita2020",),
    "qc-distributions": ("Amezquita2020",),
    "qc-doublets": ("Germain2021",),
    "copy-number": ("Tirosh2016",),
    "copy-number-genome": ("Tirosh2016",),
    "cluster-stability": ("Traag2019",),
    "signature-cells": ("Badia2022",),
    "signature-donors": ("Crowell2020",),
    "signature-coverage": ("Badia2022",),
    "contrasts-forest": ("Crowell2020", "Benjamini1995"),
    "contrasts-studies": ("Crowell2020",),
    "gsea": ("Subramanian2005", "Fang2023"),
    "de-volcano": ("Muzellec2023", "Love2014"),
    "crosstalk-axes": ("Dimitrov2022",),
    "programme-pairs": ("Gavish2023",),
}
"""What a figure's method is due to: entries of the bibliography."""


def _cited(references: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """References of each figure, those that the methods section numbers."""
    by_key = {r["key"]: r for r in references}
    return {figure: [by_key[key] for key in keys if key in by_key] for figure, keys in CITES.items()}


def _placed(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Tables by view; those that no view claims go to the last one."""
    claimed = {view.id: view.tables for view in VIEWS}
    others = set(names).difference(*claimed.values())
    return claimed | {VIEWS[-1].id: tuple(name for name in names if name in others)}


class _Tables(dict[str, pd.DataFrame]):
    """Tables by name; one that a run does not make is empty."""

    def __missing__(self, name: str) -> pd.DataFrame:
        return empty(name)


def _views(
    run: Run, tables: Mapping[str, pd.DataFrame], *, alpha: float, warn_lost: float, max_genes: int
) -> tuple[dict[str, list[Figure]], dict[str, Any]]:
    """Figures by view, and small tables that stand in the text."""
    ordered = tables["samples"].sort_values(["condition", "study", "sample"], kind="stable")
    samples = list(ordered["sample"])
    means = comparison.donor_means(run.scores, run.annotation)
    unknown, reasons = identity.unknowns(run.annotation, samples)
    figures = {
        "quality": [
            quality.fate(run.cells, samples),
            quality.distributions(run.cells, tables["qc"], samples),
            quality.dropped(tables["dropped"], samples),
            quality.doublets(tables["qc"], samples),
            quality.ambient(run.ambient, ordered),
            quality.genes_lost(tables["genes_lost"], samples, warn=warn_lost),
        ],
        "identity": [
            agreement.confusion(tables["confusion"]),
            agreement.classes(tables["concordance"]),
            agreement.calibration(tables["calibration"]),
            unknown,
            identity.copy_number(tables["cnv_arms"]),
            identity.genome(tables["cnv_windows"]),
            identity.markers(tables["markers"]),
            identity.stability(tables["stability"]),
        ],
        "composition": [
            composition.samples_by_type(run.annotation, samples),
            composition.contrasts_of_types(tables["composition"], alpha=alpha),
        ],
        "signatures": [
            comparison.signature_cells(means, run.names),
            comparison.signature_donors(tables["donor_scores"], run.names),
            quality.coverage(tables["coverage"], samples, run.names),
        ],
        "contrasts": [
            comparison.contrast_forest(tables["contrasts"], run.names, alpha=alpha),
            comparison.study_forest(tables["contrasts"], run.names, alpha=alpha),
            comparison.enrichment(tables["gsea"], run.names, alpha=alpha),
            comparison.volcano(tables["de"], alpha=alpha, most=max_genes),
        ],
        "crosstalk": [ecosystem.crosstalk(tables["crosstalk_summary"])],
        "drugs": [ecosystem.drug_targets(tables["druggability"]), ecosystem.antigens(tables["adc_coverage"])],
        "programmes": [ecosystem.programme_pairs(tables["programme_pairs"]), ecosystem.fidelity(tables["fidelity"])],
        "recovery": [record.recovery(tables["recovery"])],
        "run": [record.runtime(record.by_step(run.benchmarks))],
    }
    notes = {
        "clusters": identity.clusters(run.annotation).to_dict("records"),
        "reasons": reasons.to_dict("records"),
        "not_tested": comparison.not_tested(tables["contrasts"]).to_dict("records"),
        "nulls": tables["nulls"].to_dict("records"),
        "programmes": tables["programmes"].to_dict("records"),
        "recovery": record.outcomes(tables["recovery"]).to_dict("records"),
        "agreement": _agreement(tables["concordance"]),
        "n_unknown": int((run.annotation[Obs.CELL_TYPE] == "unknown").sum()),
    }
    return figures, notes


def _done(run: Run, tables: Mapping[str, pd.DataFrame]) -> dict[str, bool]:
    """Which steps of the methods section had something to work on, and so belong in it."""
    return {
        "integration": run.integrated,
        "doublets": bool(tables["qc"]["expected_doublet_rate"].notna().any()),
        "contrasts": bool(tables["contrasts"]["p"].notna().any()),
        "genes": bool(tables["de"]["p"].notna().any()),
        "rankings": bool(tables["gsea"]["p"].notna().any()),
        "crosstalk": not tables["crosstalk"].empty,
        "programmes": not tables["programmes"].empty,
    }


def _agreement(concordance: pd.DataFrame) -> list[dict[str, Any]]:
    """Accuracy and macro-F1 by scope."""
    own = concordance[concordance["class"].isin(["accuracy", "macro", "malignant"])]
    rows: dict[str, dict[str, Any]] = {}
    for row in own.to_dict("records"):
        rows.setdefault(row["scope"], {"scope": row["scope"], "n": row["n"]})[row["class"]] = (
            row["recall"] if row["class"] == "accuracy" else row["f1"]
        )
        rows[row["scope"]]["n"] = max(rows[row["scope"]]["n"], row["n"])
    return list(rows.values())


def _described(document: Mapping[str, Any]) -> dict[str, str]:
    """Title of a dataset and where it is published."""
    citation = document.get("citation") or {}
    doi, pmid = citation.get("doi"), citation.get("pmid")
    url = f"https://doi.org/{doi}" if doi else f"https://pubmed.ncbi.nlm.nih.gov/{pmid}" if pmid else ""
    return {"title": str(document.get("title") or ""), "url": url}


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as dotted names and values."""
    result: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            result += _flat(value, f"{prefix}{key}.")
        else:
            result.append((f"{prefix}{key}", str(value)))
    return result


def _plotly() -> bytes:
    """The plotting library, as the installed plotly package carries it."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
