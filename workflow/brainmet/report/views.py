"""The parts of the page in their order: what each says, draws and lists. A new view is one entry here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from brainmet.report import (
    agreement,
    comparison,
    composition,
    ecosystem,
    identity,
    quality,
    record,
    signatures,
    text_table,
)
from brainmet.report.content import Content
from brainmet.report.figure import Figure
from brainmet.report.text_table import TextTable


def _no_figures(content: Content) -> list[Figure]:
    return []


def _no_texts(content: Content) -> list[TextTable]:
    return []


@dataclass(frozen=True)
class View:
    """A part of the page.

    Attributes:
        id: its anchor.
        title: its heading.
        about: a sentence under the heading.
        tables: names of the tables below its figures.
        figures: what makes its figures.
        before, after: what makes the small tables above and below the figures.
    """

    id: str
    title: str
    about: str
    tables: tuple[str, ...] = ()
    figures: Callable[[Content], list[Figure]] = _no_figures
    before: Callable[[Content], list[TextTable]] = _no_texts
    after: Callable[[Content], list[TextTable]] = _no_texts


def _quality(content: Content) -> list[Figure]:
    tables, samples = content.tables, content.sample_ids
    return [
        quality.fate(content.run.cells, samples),
        quality.distributions(content.run.cells, tables["qc"], samples),
        quality.dropped(tables["dropped"], samples),
        quality.doublets(tables["qc"], samples),
        quality.ambient(content.run.ambient, content.samples),
        quality.genes_lost(tables["genes_lost"], samples, warn=content.settings.warn_lost),
    ]


def _identity(content: Content) -> list[Figure]:
    tables = content.tables
    return [
        agreement.confusion(tables["confusion"]),
        agreement.classes(tables["concordance"]),
        agreement.calibration(tables["calibration"]),
        identity.unknowns(content.run.annotation, content.sample_ids),
        identity.copy_number(tables["cnv_arms"]),
        identity.genome(tables["cnv_windows"]),
        identity.markers(tables["markers"]),
        identity.stability(tables["stability"]),
    ]


def _agreement(content: Content) -> list[TextTable]:
    return [text_table.agreement(agreement.by_scope(content.tables["concordance"]))]


def _identity_texts(content: Content) -> list[TextTable]:
    annotation = content.run.annotation
    return [
        text_table.reasons(identity.reasons_of_unknowns(annotation)),
        text_table.clusters(identity.clusters(annotation)),
    ]


def _composition(content: Content) -> list[Figure]:
    return [
        composition.samples_by_type(content.run.annotation, content.sample_ids),
        composition.contrasts_of_types(content.tables["composition"], alpha=content.alpha),
    ]


def _signatures(content: Content) -> list[Figure]:
    names = content.run.names
    return [
        signatures.signature_cells(content.donor_means, names),
        signatures.signature_donors(content.tables["donor_scores"], names),
        quality.coverage(content.tables["coverage"], content.sample_ids, names),
    ]


def _contrasts(content: Content) -> list[Figure]:
    tables, names, alpha = content.tables, content.run.names, content.alpha
    return [
        comparison.contrast_forest(tables["contrasts"], names, alpha=alpha),
        comparison.study_forest(tables["contrasts"], names, alpha=alpha),
        comparison.enrichment(tables["gsea"], names, alpha=alpha),
        comparison.volcano(tables["de"], alpha=alpha, most=content.settings.max_genes),
    ]


def _contrast_texts(content: Content) -> list[TextTable]:
    return [
        text_table.nulls(content.tables["nulls"]),
        text_table.not_tested(comparison.not_tested(content.tables["contrasts"])),
    ]


def _crosstalk(content: Content) -> list[Figure]:
    return [ecosystem.crosstalk(content.tables["crosstalk_summary"])]


def _drugs(content: Content) -> list[Figure]:
    return [
        ecosystem.drug_targets(content.tables["druggability"]),
        ecosystem.antigens(content.tables["adc_coverage"]),
    ]


def _programmes(content: Content) -> list[Figure]:
    return [
        ecosystem.programme_pairs(content.tables["programme_pairs"]),
        ecosystem.fidelity(content.tables["fidelity"]),
    ]


def _programme_texts(content: Content) -> list[TextTable]:
    return [text_table.programmes(content.tables["programmes"], content.run.names)]


def _recovery(content: Content) -> list[Figure]:
    return [record.recovery(content.tables["recovery"])]


def _recovery_texts(content: Content) -> list[TextTable]:
    return [text_table.recovery(record.outcomes(content.tables["recovery"]))]


def _run(content: Content) -> list[Figure]:
    return [record.runtime(record.by_step(content.run.benchmarks))]


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
        figures=_quality,
    ),
    View(
        "identity",
        "Identity",
        "What the cells are, how sure that is, and where the authors disagree.",
        (
            "author_labels",
            "concordance",
            "confusion",
            "calibration",
            "cnv_arms",
            "cnv_windows",
            "markers",
            "stability",
            "integration",
        ),
        figures=_identity,
        before=_agreement,
        after=_identity_texts,
    ),
    View(
        "composition",
        "Composition",
        "What the samples are made of.",
        ("composition",),
        figures=_composition,
    ),
    View(
        "signatures",
        "Signatures",
        "The curated gene signatures in every cell type, with the donors behind every mean.",
        ("signatures", "donor_scores", "donor_sets", "coverage"),
        figures=_signatures,
    ),
    View(
        "contrasts",
        "Contrasts",
        "What differs between conditions, with donors as replicates.",
        ("contrasts", "de", "gsea", "nulls", "correlations", "claims", "bulk"),
        figures=_contrasts,
        after=_contrast_texts,
    ),
    View(
        "crosstalk",
        "Crosstalk",
        "Which cell types could signal to which.",
        ("crosstalk_summary", "crosstalk"),
        figures=_crosstalk,
    ),
    View(
        "drugs",
        "Druggability",
        "Where the targets of drugs are expressed. This is not treatment advice.",
        ("druggability", "adc_coverage", "adc_antigens", "drugs"),
        figures=_drugs,
    ),
    View(
        "programmes",
        "Programmes",
        "What malignant cells of several donors do together, and how models compare with patients.",
        ("programmes", "programme_pairs", "fidelity"),
        figures=_programmes,
        before=_programme_texts,
    ),
    View(
        "recovery",
        "Recovery",
        "How much of the simulated truth was recovered.",
        ("recovery",),
        figures=_recovery,
        after=_recovery_texts,
    ),
    View("methods", "Methods", "What was done, in words for a paper."),
    View("run", "Run", "Versions, settings, runtime and memory.", figures=_run),
)


def tables_by_view(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Names of tables by view; those that no view lists go to the last one."""
    listed = {view.id: view.tables for view in VIEWS}
    others = set(names).difference(*listed.values())
    return listed | {VIEWS[-1].id: tuple(name for name in names if name in others)}
