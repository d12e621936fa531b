"""Crosstalk: known axes between the cell types of one sample, then over donors.

In: the cohort's pseudobulk (sums by sample and cell type). Out: tables/crosstalk.tsv, one row per axis and sample that
holds its sender and its receiver; tables/crosstalk_summary.tsv, one row per axis and condition.
"""


rule crosstalk:
    """Scores and p values of every axis in every sample that holds its sender and its receiver."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        axes="<shipped>/crosstalk/axes.yaml",
        types=TYPES,
        code=code("crosstalk"),
    output:
        table="<results>/tables/crosstalk.tsv",
    log:
        "<logs>/crosstalk.log",
    benchmark:
        "<benchmarks>/crosstalk.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(305, 18.5),
    params:
        min_cells=lookup(dpath="crosstalk/min_cells", within=config),
        min_fraction=lookup(dpath="crosstalk/min_fraction", within=config),
        n_bins=lookup(dpath="crosstalk/n_bins", within=config),
        n_random=lookup(dpath="crosstalk/n_random", within=config),
        seed=lookup(dpath="crosstalk/seed", within=config),
    script:
        "../scripts/crosstalk.py"


rule crosstalk_summary:
    """Axes over donors: share of donors, specificity of the sender, response of the receiver."""
    input:
        table="<results>/tables/crosstalk.tsv",
        axes="<shipped>/crosstalk/axes.yaml",
        code=code("crosstalk.summary"),
    output:
        table=listed("crosstalk_summary", "Findings", "crosstalk by condition"),
    log:
        "<logs>/crosstalk_summary.log",
    benchmark:
        "<benchmarks>/crosstalk_summary.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(215),
    params:
        alpha=lookup(dpath="crosstalk/alpha", within=config),
        min_donors=lookup(dpath="crosstalk/min_donors", within=config),
        n_permutations=lookup(dpath="crosstalk/n_permutations", within=config),
        seed=lookup(dpath="crosstalk/seed", within=config),
    script:
        "../scripts/crosstalk_summary.py"
