"""Bulk: profiles of bulk cohorts -> signatures between paired conditions, beside those of the cells.

In: counts.h5ad of the bulk samples (a profile is a "cell"). Out: tables/bulk.tsv, made when a run holds bulk samples.
"""


rule bulk:
    """Every signature between the conditions of every bulk cohort."""
    input:
        **SIGNATURES,
        counts=collect("<results>/samples/{sample}/counts.h5ad", sample=BULK_SAMPLES),
        markers=["<results>/tables/markers.tsv"] if SAMPLES else [],
        types=TYPES,
        code=code("bulk", "compare.inputs"),
    output:
        table="<results>/tables/bulk.tsv",
    log:
        "<logs>/bulk.log",
    benchmark:
        "<benchmarks>/bulk.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1500),
    params:
        tier=lookup(dpath="score/tier", within=config),
        contrasts=lookup(dpath="compare/contrasts", within=config),
        scoring=lookup(dpath="compare/scoring", within=config),
        records=BULK_SAMPLES,
    script:
        "../scripts/bulk.py"
