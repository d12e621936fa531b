"""Pseudobulk: counts and annotation -> sums by donor and cell type.

In: counts.h5ad of a sample, the cohort's annotation.parquet.
Out: pseudobulk.h5ad of the sample (rows sample × donor × condition × type; X sums, layer n_cells_detected), then of the
cohort, NaN where a sample does not measure a gene.
"""


rule pseudobulk:
    """Counts of one sample summed by donor, condition and cell type."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        annotation="<results>/cohort/annotation.parquet",
        code=code("pseudobulk", "core.tables"),
    output:
        pseudobulk="<results>/samples/{sample}/pseudobulk.h5ad",
    log:
        "<logs>/pseudobulk/{sample}.log",
    benchmark:
        "<benchmarks>/pseudobulk/{sample}.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(220, 0.7),
    params:
        covariates=lookup(dpath="{sample}", within=SAMPLES),
    script:
        "../scripts/pseudobulk.py"


rule collect_pseudobulk:
    """Pseudobulk of all samples side by side over the union of their genes."""
    input:
        parts=collect("<results>/samples/{sample}/pseudobulk.h5ad", sample=SAMPLES),
        code=code("pseudobulk"),
    output:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
    log:
        "<logs>/collect_pseudobulk.log",
    benchmark:
        "<benchmarks>/collect_pseudobulk.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(175, 4.7),
    script:
        "../scripts/collect_pseudobulk.py"
