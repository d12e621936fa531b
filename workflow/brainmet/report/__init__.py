"""The report: every table of a run, its cells and its settings -> one page that opens without a network.

The page is data and code in one file: figures are specifications that plotly.js draws in the browser, the map of cells
is drawn on a canvas from packed bytes. Nothing is drawn here.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from brainmet.contract import BY_HAND, Obs
from brainmet.core.tables import schema
from brainmet.report import cautions, methods
from brainmet.report.content import Content, Parts, Run, Settings
from brainmet.report.data import STEPS_GENE, STEPS_SCORE, Packed, as_json, pack, squeeze
from brainmet.report.figure import table
from brainmet.report.findings import in_short, overview, verdicts
from brainmet.report.views import VIEWS, tables_by_view
from brainmet.report.wording import words

__all__ = ["Parts", "Run", "Settings", "page"]

log = logging.getLogger(__name__)

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


def page(run: Run, parts: Parts, settings: Settings) -> str:
    """The page as HTML.

    Args:
        run: what to show.
        parts: template, style and script.
        settings: how much to show, and when to warn.
    """
    content = Content(run, settings)
    views = [view for view in VIEWS if view.id != "recovery" or content.simulated]
    figures = {view.id: view.figures(content) for view in VIEWS}
    packed = _packed(content)
    specs = {figure.id: figure.spec() for drawn in figures.values() for figure in drawn}
    tables = {name: table(content.tables[name], settings.max_rows) for name in sorted(run.tables)}
    payload = {"figures": specs, "tables": tables, "cells": packed.meta, "simulated": content.simulated}
    n_drawn, n_cells = packed.meta["n"], len(run.annotation)
    log.info("%d figures, %d tables, %d of %d cells on the map", len(specs), len(tables), n_drawn, n_cells)
    return _render(
        parts.template,
        **_first_screen(content),
        **_methods(content, parts),
        **_record(run),
        views=views,
        figures=figures,
        before={view.id: view.before(content) for view in views},
        after={view.id: view.after(content) for view in views},
        simulated=content.simulated,
        about={name: schema(name)["description"] for name in tables},
        tables=tables,
        placed=tables_by_view(tables),
        cells=packed.meta,
        steps={"scores": STEPS_SCORE + 1, "genes": STEPS_GENE + 1},
        css=parts.css,
        js=parts.js,
        payload=squeeze(as_json(payload)),
        blob=squeeze(packed.blob),
        plotly=squeeze(_plotly()),
    )


def _render(template: str, **values: Any) -> str:
    """The template with its values; a value that it lacks is an error."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["words"] = words
    return environment.from_string(template).render(**values)


def _packed(content: Content) -> Packed:
    """The cells of the map."""
    run, settings = content.run, content.settings
    return pack(
        run.annotation,
        run.layout,
        run.scores,
        run.genes,
        names=run.names,
        uses=run.uses,
        max_cells=settings.max_cells,
        max_scores=settings.max_scores,
        max_gene_values=settings.max_gene_values,
        seed=settings.seed,
    )


def _first_screen(content: Content) -> dict[str, Any]:
    """What was analysed, what was found, and why to be cautious."""
    tables = content.tables
    numbers = overview(tables["samples"], content.run.annotation, tables["qc"])
    claims, doubts = verdicts(tables["claims"]), cautions.cautions(content)
    return {
        "overview": numbers,
        "claims": claims,
        "cautions": doubts,
        "short": in_short(numbers, claims, [caution.level for caution in doubts]),
    }


def _methods(content: Content, parts: Parts) -> dict[str, Any]:
    """The methods section, and the references of each figure by its numbers."""
    run, tables = content.run, content.tables
    facts = {
        "overview": overview(tables["samples"], run.annotation, tables["qc"]),
        "simulated": content.simulated,
        "done": _done(content),
        "n_by_hand": int(run.annotation[Obs.REASON].astype(str).str.startswith(BY_HAND).sum()),
    }
    written = methods.write(parts.methods, parts.bib, run=run.provenance, facts=facts, datasets=run.datasets)
    return {"methods": written, "cited": _cited(written["references"])}


def _record(run: Run) -> dict[str, Any]:
    """Versions, settings and series of the run."""
    return {
        "software": run.provenance["software"],
        "config": _flat(run.provenance["config"]),
        "datasets": {name: _described(document) for name, document in run.datasets.items()},
    }


def _cited(references: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """References of each figure, those that the methods section numbers."""
    by_key = {r["key"]: r for r in references}
    return {figure: [by_key[key] for key in keys if key in by_key] for figure, keys in CITES.items()}


def _done(content: Content) -> dict[str, bool]:
    """Which steps of the methods section had something to work on, and so belong in it."""
    tables = content.tables
    return {
        "integration": content.run.integrated,
        "doublets": bool(tables["qc"]["expected_doublet_rate"].notna().any()),
        "contrasts": bool(tables["contrasts"]["p"].notna().any()),
        "genes": bool(tables["de"]["p"].notna().any()),
        "rankings": bool(tables["gsea"]["p"].notna().any()),
        "crosstalk": not tables["crosstalk"].empty,
        "programmes": not tables["programmes"].empty,
    }


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
