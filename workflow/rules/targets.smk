"""Targets: names for parts of a run, such as `snakemake quality` or `snakemake annotated`."""


rule ingested:
    """Counts of every sample: results/samples/*/counts.h5ad."""
    input:
        collect("<results>/samples/{sample}/counts.h5ad", sample=SAMPLES),


rule quality:
    """Every barcode kept or dropped and why: results/samples/*/cells.parquet and the tables on quality."""
    input:
        collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        collect("<results>/tables/{table}.tsv", table=["qc", "samples", "genes_lost", "duplicates"]),


rule scored:
    """Signature scores of every cell by ULM and AUCell, and the coverage of each signature."""
    input:
        collect("<results>/samples/{sample}/scores.parquet", sample=SAMPLES),
        collect("<results>/samples/{sample}/scores_aucell.parquet", sample=SAMPLES),
        "<results>/tables/coverage.tsv",


rule annotated:
    """What every cell is, and how that agrees with the authors: results/cohort/annotation.parquet."""
    input:
        "<results>/cohort/annotation.parquet",
        collect(
            "<results>/tables/{table}.tsv",
            table=["author_labels", "concordance", "confusion", "calibration", "cnv_arms"],
        ),


rule compared:
    """Every table of results/tables/, among them contrasts, composition, drugs and claims; no atlas, no page."""
    input:
        collect("<results>/tables/{table}.tsv", table=TABLES),


rule atlas:
    """The atlas alone: results/atlas.h5ad."""
    input:
        "<results>/atlas.h5ad",
