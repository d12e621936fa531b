"""Features: moments of all samples -> features.tsv, the union of genes with the variable ones marked.

In: moments.parquet of each sample (genes over its kept cells), marker genes. Out: <results>/cohort/features.tsv.
"""


rule features:
    """Variable genes of the cohort, by vote of the samples, from their gene moments."""
    input:
        moments=collect("<results>/samples/{sample}/moments.parquet", sample=SAMPLES),
        types=TYPES,
        code=code("features", "knowledge.cell_types"),
    output:
        features="<results>/cohort/features.tsv",
    log:
        "<logs>/features.log",
    benchmark:
        "<benchmarks>/features.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(215),
    params:
        datasets=[record["dataset"] for record in SAMPLES.values()],
        n_top=lookup(dpath="features/n_top", within=config),
        n_bins=lookup(dpath="features/n_bins", within=config),
        min_genes_shared=lookup(dpath="features/min_genes_shared", within=config),
        min_fraction_samples=lookup(dpath="features/min_fraction_samples", within=config),
        min_cells=lookup(dpath="features/min_cells", within=config),
        min_cells_detected=lookup(dpath="features/min_cells_detected", within=config),
        exclude=lookup(dpath="features/exclude", within=config),
    script:
        "../scripts/features.py"
