"""Genes of interest: counts -> genes_of_interest.parquet, a few hundred genes cell by cell, for the map and for drugs.

In: drug list, claims, marker sets, the config's own genes; counts of a sample, read once. Out:
<results>/cohort/genes_of_interest.tsv (which, and what for), <results>/samples/{sample}/genes_of_interest.parquet.
"""


rule choose_genes:
    """Which genes are kept cell by cell, and what for."""
    input:
        genes="<shipped>/genes/human.tsv.gz",
        drugs="<shipped>/drugs/drugs.yaml",
        claims=["<shipped>/claims/claims.yaml", *config["claims"]["files"]],
        types=TYPES,
        code=code("genes_of_interest"),
    output:
        genes="<results>/cohort/genes_of_interest.tsv",
    log:
        "<logs>/choose_genes.log",
    benchmark:
        "<benchmarks>/choose_genes.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(190),
    params:
        own=lookup(dpath="genes_of_interest/own", within=config),
        most=lookup(dpath="genes_of_interest/most", within=config),
    script:
        "../scripts/choose_genes.py"


rule genes_of_interest:
    """Values of the chosen genes in every kept cell of one sample."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        genes="<results>/cohort/genes_of_interest.tsv",
        code=code("genes_of_interest"),
    output:
        values="<results>/samples/{sample}/genes_of_interest.parquet",
    log:
        "<logs>/genes_of_interest/{sample}.log",
    benchmark:
        "<benchmarks>/genes_of_interest/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(250, 0.4),
    script:
        "../scripts/genes_of_interest.py"
