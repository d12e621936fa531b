"""Simulate: the demo cohort with known truth, made by one job.

Out: downloads/demo/{sample}.h5ad, truth_shifts.tsv, truth_arms.tsv. Samples are those of the dataset file; each file is
that of the sample whose `match` its name begins with. What is planted is in resources/demo/design.yaml. Without demo
among the datasets the rule makes the tables of truth alone, and nothing asks for them.
"""

DEMO = DATASETS.get("demo", {"files": [], "samples": []})


rule simulate:
    """Counts of all simulated samples around measured mean profiles, and what was planted in them."""
    input:
        profiles="<shipped>/demo/profiles.tsv.gz",
        types="<shipped>/demo/types.tsv",
        design="<shipped>/demo/design.yaml",
        signatures=[
            "<shipped>/signatures/signatures.yaml",
            "<shipped>/signatures/confounders.yaml",
        ],
        code=code("simulate", "core.counts"),
    output:
        counts=collect("downloads/demo/{file[name]}", file=DEMO["files"]),
        shifts="downloads/demo/truth_shifts.tsv",
        arms="downloads/demo/truth_arms.tsv",
    log:
        "<logs>/simulate.log",
    benchmark:
        "<benchmarks>/simulate.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(320),
    params:
        samples=DEMO["samples"],
        seed=lookup(dpath="simulate/seed", within=config),
        cells=lookup(dpath="simulate/cells", within=config),
        depth=lookup(dpath="simulate/depth", within=config),
        depth_sd=lookup(dpath="simulate/depth_sd", within=config),
        overdispersion=lookup(dpath="simulate/overdispersion", within=config),
        study_sd=lookup(dpath="simulate/study_sd", within=config),
        sample_sd=lookup(dpath="simulate/sample_sd", within=config),
        donor_sd=lookup(dpath="simulate/donor_sd", within=config),
        doublets=lookup(dpath="simulate/doublets", within=config),
        heterotypic=lookup(dpath="simulate/heterotypic", within=config),
        ambient=lookup(dpath="simulate/ambient", within=config),
        low_quality=lookup(dpath="simulate/low_quality", within=config),
        dying=lookup(dpath="simulate/dying", within=config),
        direction=lookup(dpath="simulate/direction", within=config),
    script:
        "../scripts/simulate.py"
