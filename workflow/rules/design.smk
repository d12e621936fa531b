"""Before a run: what the dataset files can answer, and what is shipped. Reads dataset files, downloads nothing."""


localrules:
    design,
    design_tables,
    catalogue,


rule design_tables:
    """Contrasts and claims that the dataset files allow, by which estimator, and how large an effect must be."""
    input:
        claims="<shipped>/claims/claims.yaml",
        claim_files=lookup(dpath="claims/files", within=config),
        code=code("design", "claims", "core.tables"),
    output:
        design="<results>/tables/design.tsv",
        cohort="<results>/tables/design_cohort.tsv",
    log:
        "<logs>/design_tables.log",
    benchmark:
        "<benchmarks>/design_tables.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        records=RECORDS,
        published={dataset: entry.get("published", {}) for dataset, entry in DATASETS.items()},
        contrasts=lookup(dpath="compare/contrasts", within=config),
        design=lookup(dpath="compare/design", within=config),
    script:
        "../scripts/design_tables.py"


rule design:
    """Print what this run can answer and what it costs, before any download."""
    input:
        design="<results>/tables/design.tsv",
        cohort="<results>/tables/design_cohort.tsv",
        code=code("design", "core.tables"),
    log:
        "<logs>/design.log",
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        records=RECORDS,
        published={dataset: entry.get("published", {}) for dataset, entry in DATASETS.items()},
        assumed=lookup(dpath="design", within=config),
    script:
        "../scripts/design.py"


rule catalogue:
    """Table and page of the shipped dataset files."""
    input:
        datasets=sorted((HOME / "resources" / "datasets").glob("*.yaml")),
        code=code("datasets.catalogue", "ingest", "core.tables"),
    output:
        table="<results>/tables/catalogue.tsv",
        page="<results>/catalogue.html",
    log:
        "<logs>/catalogue.log",
    benchmark:
        "<benchmarks>/catalogue.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1000),
    script:
        "../scripts/catalogue.py"
