"""Claims: pseudobulk -> claims.tsv, a verdict on each statement of resources/claims/."""


rule claims:
    """Verdict on every published statement, with what it rests on."""
    input:
        bulk="<results>/cohort/pseudobulk.h5ad",
        compartments="<shipped>/signatures/compartments.yaml",
        signatures="<shipped>/signatures/signatures.yaml",
        confounders="<shipped>/signatures/confounders.yaml",
        files=lookup(dpath="score/files", within=config),
        claims="<shipped>/claims/claims.yaml",
        own=lookup(dpath="claims/files", within=config),
        code=code("claims", "stage_inputs"),
    output:
        table="<results>/tables/claims.tsv",
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=1500,
    params:
        tier=lookup(dpath="score/tier", within=config),
        ambient=lookup(dpath="compare/ambient", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        design=lookup(dpath="compare/design", within=config),
        how=lookup(dpath="compare/scoring", within=config),
        bound=lookup(dpath="claims/bound", within=config),
        min_share_cells=lookup(dpath="claims/min_share_cells", within=config),
    script:
        "../scripts/claims.py"
