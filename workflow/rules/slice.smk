"""Slice: counts -> slice.npz, the log-normalised informative genes of a sample's kept cells."""


rule slice:
    """Log-normalised values of the cohort's informative genes in the kept cells of one sample."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        features="<results>/cohort/features.tsv",
        code=code("slice", "features"),
    output:
        slice="<results>/samples/{sample}/slice.npz",
    log:
        "<logs>/slice/{sample}.log",
    benchmark:
        "<benchmarks>/slice/{sample}.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(215, 1.0),
    script:
        "../scripts/slice.py"
