"""Export: counts, tables and coordinates of the cohort -> atlas.h5ad."""

if config["export"]["ambient_corrected"] and "ambient" not in SAMPLE_METHODS:
    raise WorkflowError(
        "config.yaml: export.ambient_corrected: needs the method ambient; add it to annotate.methods"
    )


rule export:
    """The atlas: counts of all samples, everything said about their cells, and the coordinates, in one h5ad."""
    input:
        counts=collect("<results>/samples/{sample}/counts.h5ad", sample=SAMPLES),
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        scores=collect("<results>/samples/{sample}/scores.parquet", sample=SAMPLES),
        features="<results>/cohort/features.tsv",
        embedding="<results>/cohort/embedding.parquet",
        malignant="<results>/cohort/malignant_embedding.parquet",
        clusters="<results>/cohort/clusters.parquet",
        annotation="<results>/cohort/annotation.parquet",
        ambient=COHORT_FILES["ambient"] if config["export"]["ambient_corrected"] else [],
        code=code("export", "annotate.inputs"),
    output:
        atlas="<results>/atlas.h5ad",
    log:
        "<logs>/export.log",
    benchmark:
        "<benchmarks>/export.tsv"
    priority: BESIDE_THE_PAGE
    conda:
        "../envs/brainmet.yaml"
    threads: half_of_cores
    resources:
        mem_mb=memory(375, 0.24),
    params:
        samples=SAMPLES,
        compression=lookup(dpath="export/compression", within=config),
        ambient_corrected=lookup(dpath="export/ambient_corrected", within=config),
    script:
        "../scripts/export.py"
