"""Claims: pseudobulk and the tables of other stages -> claims.tsv, a verdict on each statement of resources/claims/.

Out, beside it: tables/correlations.tsv, what claims on correlations between the cells of a donor rest on.
"""


rule correlations:
    """Correlations that claims ask for, between the cells of every donor."""
    input:
        **SIGNATURES,
        slices=collect("<results>/samples/{sample}/slice.npz", sample=SAMPLES),
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        annotation="<results>/cohort/annotation.parquet",
        features="<results>/cohort/features.tsv",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        claims="<shipped>/claims/claims.yaml",
        claim_files=lookup(dpath="claims/files", within=config),
        code=code("claims.correlations", "features", "claims.inputs"),
    output:
        table="<results>/tables/correlations.tsv",
    log:
        "<logs>/correlations.log",
    benchmark:
        "<benchmarks>/correlations.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(210, 2.2),
    params:
        min_cells=lookup(dpath="claims/correlation/min_cells", within=config),
        n_random=lookup(dpath="claims/correlation/n_random", within=config),
        seed=lookup(dpath="claims/correlation/seed", within=config),
        min_genes=lookup(dpath="compare/scoring/min_genes", within=config),
        samples=SAMPLES,
    script:
        "../scripts/correlations.py"


rule claims:
    """Verdict on every published claim, with what it rests on."""
    input:
        **SIGNATURES,
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        correlations="<results>/tables/correlations.tsv",
        crosstalk="<results>/tables/crosstalk.tsv",
        tissues=collect("<results>/samples/{sample}/counts.h5ad", sample=BULK_SAMPLES),
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        claims="<shipped>/claims/claims.yaml",
        claim_files=lookup(dpath="claims/files", within=config),
        code=code("claims", "claims.inputs"),
    output:
        table=listed("claims", "Findings", "verdicts on published claims"),
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(195, 25),
    params:
        ambient=lookup(dpath="compare/ambient", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        design=lookup(dpath="compare/design", within=config),
        scoring=lookup(dpath="compare/scoring", within=config),
        bound=lookup(dpath="claims/bound", within=config),
        min_share_cells=lookup(dpath="claims/min_share_cells", within=config),
        bulk_records=BULK_SAMPLES,
    script:
        "../scripts/claims.py"
