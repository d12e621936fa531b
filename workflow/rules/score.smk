"""Score: counts -> scores of signatures, genes of interest, activities of networks and tasks, cell by cell.

In: counts.h5ad and cells.parquet of a sample, the signatures.
Out, per sample: scores.parquet (ULM), coverage.tsv (genes of each signature that are measured),
genes_of_interest.parquet; scores_aucell.parquet, scores_networks.parquet and scores_tasks.parquet on request.
Out, once: signatures.gmt, tables/signatures.tsv, tables/coverage.tsv.
"""


rule signatures:
    """The signatures of this run as a .gmt file, for other tools, and as a table with origin and references."""
    input:
        **SIGNATURES,
        references="<shipped>/signatures/references.yaml",
        code=code("knowledge.signatures", "core.tables"),
    output:
        gmt="<results>/signatures.gmt",
        table="<results>/tables/signatures.tsv",
    log:
        "<logs>/signatures.log",
    benchmark:
        "<benchmarks>/signatures.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(165),
    params:
        tier=lookup(dpath="score/tier", within=config),
        confounders=lookup(dpath="score/confounders", within=config),
    script:
        "../scripts/signatures.py"


rule score:
    """ULM scores and genes of interest of every kept cell of one sample, and the coverage of each signature."""
    input:
        **SIGNATURES,
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        genes="<results>/cohort/genes_of_interest.tsv",
        code=code("score", "genes_of_interest", "core.tables"),
    output:
        scores="<results>/samples/{sample}/scores.parquet",
        coverage="<results>/samples/{sample}/coverage.tsv",
        gene_values="<results>/samples/{sample}/genes_of_interest.parquet",
    log:
        "<logs>/score/{sample}.log",
    benchmark:
        "<benchmarks>/score/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(270, 0.4),
    params:
        tier=lookup(dpath="score/tier", within=config),
        confounders=lookup(dpath="score/confounders", within=config),
        min_genes=lookup(dpath="score/min_genes", within=config),
        min_coverage=lookup(dpath="score/min_coverage", within=config),
    script:
        "../scripts/score.py"


rule aucell_cutoff:
    """The rank at which AUCell cuts, the same in every sample."""
    input:
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        moments=collect("<results>/samples/{sample}/moments.parquet", sample=SAMPLES),
        code=code("score", "core.tables"),
    output:
        cutoff="<results>/cohort/aucell_cutoff.tsv",
    log:
        "<logs>/aucell_cutoff.log",
    benchmark:
        "<benchmarks>/aucell_cutoff.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(250, 3),
    params:
        top_share=lookup(dpath="score/aucell/top_share", within=config),
        detected_quantile=lookup(dpath="score/aucell/detected_quantile", within=config),
    script:
        "../scripts/aucell_cutoff.py"


rule score_aucell:
    """AUCell score of every signature in every kept cell of one sample."""
    input:
        **SIGNATURES,
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        coverage="<results>/samples/{sample}/coverage.tsv",
        cutoff="<results>/cohort/aucell_cutoff.tsv",
        code=code("score", "core.tables"),
    output:
        scores="<results>/samples/{sample}/scores_aucell.parquet",
    log:
        "<logs>/score_aucell/{sample}.log",
    benchmark:
        "<benchmarks>/score_aucell/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(200, 1.3),
    params:
        tier=lookup(dpath="score/tier", within=config),
        confounders=lookup(dpath="score/confounders", within=config),
    script:
        "../scripts/score_aucell.py"


rule score_networks:
    """Activities of pathways and factors in every kept cell of one sample, from the networks that the config names."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        networks=lookup(dpath="score/networks", within=config),
        code=code("score.networks", "core.tables"),
    output:
        scores="<results>/samples/{sample}/scores_networks.parquet",
    log:
        "<logs>/score_networks/{sample}.log",
    benchmark:
        "<benchmarks>/score_networks/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(600, 1.5),
    params:
        min_genes=lookup(dpath="score/min_genes", within=config),
    script:
        "../scripts/score_networks.py"


rule score_tasks:
    """scCellFie's metabolic tasks in every kept cell of one sample, from the database that the config names."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        database=config["score"]["metabolic_tasks"] or [],
        code=code("score.metabolic_tasks", "core.tables"),
    output:
        scores="<results>/samples/{sample}/scores_tasks.parquet",
    log:
        "<logs>/score_tasks/{sample}.log",
    benchmark:
        "<benchmarks>/score_tasks/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1200, 0.3),
    script:
        "../scripts/score_tasks.py"


rule collect_coverage:
    """The coverage of every signature in every sample."""
    input:
        coverage=collect("<results>/samples/{sample}/coverage.tsv", sample=SAMPLES),
        code=code("core.tables"),
    output:
        coverage=listed("coverage", "Signatures", "coverage of signatures"),
    log:
        "<logs>/collect_coverage.log",
    benchmark:
        "<benchmarks>/collect_coverage.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(150),
    script:
        "../scripts/collect_coverage.py"
