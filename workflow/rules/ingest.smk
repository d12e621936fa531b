"""Ingest: raw files of any layout -> counts.h5ad, genes_lost.tsv.

counts.h5ad holds raw counts, with genes by Ensembl id and cells by sample and barcode.
"""

from brainmet.datasets import READ_BY_INGEST

READERS = [f"ingest.{layout}" for layout in checks.layouts()]
# Each layout's own reader: an edit of one does not make the samples of the others anew.
LAYOUT_CODE = {
    layout: code("ingest", f"ingest.{layout}", "fetch", "provenance")
    for layout in {record["layout"] for record in RECORDS.values()}
}
INGESTED = {sample: {field: record[field] for field in READ_BY_INGEST} for sample, record in RECORDS.items()}


localrules:
    draft,
    discover,


rule ingest:
    """One sample's counts in the contract's shape, whatever their layout, and what became of its genes."""
    input:
        files=raw_files,
        human="<shipped>/genes/human.tsv.gz",
        mouse="<shipped>/genes/mouse.tsv.gz",
        code=reader_code,
    output:
        counts="<results>/samples/{sample}/counts.h5ad",
        genes_lost="<results>/samples/{sample}/genes_lost.tsv",
        inputs="<results>/samples/{sample}/inputs.tsv",
    log:
        "<logs>/ingest/{sample}.log",
    benchmark:
        "<benchmarks>/ingest/{sample}.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(300, 3.3, own_mb),
    params:
        record=lookup(dpath="{sample}", within=INGESTED),
        warn_lost=lookup(dpath="ingest/warn_lost", within=config),
        max_lost=lookup(dpath="ingest/max_lost", within=config),
        species_share=lookup(dpath="ingest/species_share", within=config),
    script:
        "../scripts/ingest.py"


rule collect_genes_lost:
    """What became of the genes of every sample, one row per sample, and which signatures and cell types suffer."""
    input:
        **SIGNATURES,
        samples=collect("<results>/samples/{sample}/genes_lost.tsv", sample=RECORDS),
        counts=collect("<results>/samples/{sample}/counts.h5ad", sample=RECORDS),
        types=TYPES,
        code=code("core.tables", "ingest.gene_loss", "knowledge.cell_types", "core.counts", "compare.inputs"),
    output:
        "<results>/tables/genes_lost.tsv",
    log:
        "<logs>/collect_genes_lost.log",
    benchmark:
        "<benchmarks>/collect_genes_lost.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(225),
    params:
        tier=lookup(dpath="score/tier", within=config),
    script:
        "../scripts/collect_genes_lost.py"


rule draft:
    """Write a dataset file to begin with, datasets/ID.yaml, for the folder or accession named as `draft`."""
    input:
        human="<shipped>/genes/human.tsv.gz",
        code=code("datasets.draft", *READERS),
    log:
        "<logs>/draft.log",
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        source=lookup(dpath="draft", within=config),
        mirror=lookup(dpath="fetch/mirror", within=config),
        offline=lookup(dpath="fetch/offline", within=config),
    script:
        "../scripts/draft.py"


rule discover:
    """Print the samples that match no file, and lines for the files and values that are no sample's."""
    input:
        files=[path for dataset, entry in DATASETS.items() for path in paths_of(dataset, entry["files"])],
        human="<shipped>/genes/human.tsv.gz",
        mouse="<shipped>/genes/mouse.tsv.gz",
        code=code("datasets.discover", *READERS),
    log:
        "<logs>/discover.log",
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1000, 3.3),
    params:
        datasets=DATASETS,
    script:
        "../scripts/discover.py"
