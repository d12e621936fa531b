"""Report: tables, cells and settings -> report.html, one page that opens without a network; and figures for a paper.

In: tables, annotation, coordinates, scores, provenance.
Out: <results>/report.html, <results>/figures/*.svg. Counts are not read.
"""

PAGE = HOME / "workflow/report"
# The page's script is one module of these parts, in this order.
SCRIPT = ["data", "figures", "tables", "cells", "map", "files", "page"]


report: "../report/captions/workflow.rst"


CITATIONS = {
    name: {key: document.get(key) for key in ("title", "citation")} for name, document in DATASETS.items()
}


rule report:
    """The page that people open: what was analysed, what was found, what to distrust."""
    input:
        tables=collect("<results>/tables/{table}.tsv", table=TABLES),
        annotation="<results>/cohort/annotation.parquet",
        embedding="<results>/cohort/embedding.parquet",
        scores=collect("<results>/samples/{sample}/scores.parquet", sample=SAMPLES),
        genes="<results>/cohort/genes_of_interest.tsv",
        gene_values=collect("<results>/samples/{sample}/genes_of_interest.parquet", sample=SAMPLES),
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        ambient=(
            collect("<results>/samples/{sample}/evidence/ambient.parquet", sample=SAMPLES)
            if "ambient" in SAMPLE_METHODS
            else []
        ),
        run="<results>/provenance/run.json",
        signatures="<shipped>/signatures/signatures.yaml",
        types="<shipped>/markers/markers.yaml",
        template=str(PAGE / "page.html.j2"),
        css=str(PAGE / "page.css"),
        js=[str(PAGE / f"page/{part}.js") for part in SCRIPT],
        methods=str(PAGE / "methods.md.j2"),
        bib=str(PAGE / "references.bib"),
        code=code("report", "report.load"),
    output:
        page=report(
            "<results>/report.html",
            caption=str(PAGE / "captions/page.rst"),
            category="Report",
            labels={"what": "the page", "kind": "page"},
        ),
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(330, 3.3),
    params:
        settings=lookup(dpath="report", within=config),
        warn_lost=lookup(dpath="ingest/warn_lost", within=config),
        datasets=CITATIONS,
        benchmarks=workflow.pathvars.apply("<benchmarks>"),
    script:
        "../scripts/report.py"


rule figures:
    """Figures for a paper, as SVG: maps, composition, quality, signatures."""
    input:
        annotation="<results>/cohort/annotation.parquet",
        embedding="<results>/cohort/embedding.parquet",
        samples="<results>/tables/samples.tsv",
        scores=collect("<results>/samples/{sample}/scores.parquet", sample=SAMPLES),
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        types="<shipped>/markers/markers.yaml",
        code=code("report.static", "report.load"),
    output:
        cell_type=shown("umap_cell_type", "Cells", "map by cell type"),
        sample=shown("umap_sample", "Cells", "map by sample"),
        condition=shown("umap_condition", "Cells", "map by condition"),
        malignancy=shown("umap_malignancy", "Cells", "map by malignancy"),
        composition=shown("composition", "Composition", "cell types by sample"),
        qc=shown("qc", "Quality", "what became of the barcodes"),
        signatures=shown("signatures", "Signatures", "means by type and condition"),
    log:
        "<logs>/figures.log",
    benchmark:
        "<benchmarks>/figures.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(265, 2.6),
    script:
        "../scripts/figures.py"
