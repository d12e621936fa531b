"""Genes of interest: a few hundred genes that are kept cell by cell, for the map and for drugs.

In: drug list, claims, marker sets, the config's own genes. Out: <results>/cohort/genes_of_interest.tsv (which, and what
for). Their values are written beside a sample's scores, by the rule score.
"""


rule choose_genes:
    """Which genes are kept cell by cell, and what for."""
    input:
        genes="<shipped>/genes/human.tsv.gz",
        drugs="<shipped>/drugs/drugs.yaml",
        claims=["<shipped>/claims/claims.yaml", *config["claims"]["files"]],
        types=TYPES,
        code=code("genes_of_interest", "core.tables"),
    output:
        genes="<results>/cohort/genes_of_interest.tsv",
    log:
        "<logs>/choose_genes.log",
    benchmark:
        "<benchmarks>/choose_genes.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(225),
    params:
        own=lookup(dpath="genes_of_interest/own", within=config),
        most=lookup(dpath="genes_of_interest/most", within=config),
    script:
        "../scripts/choose_genes.py"
