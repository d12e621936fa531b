"""Recovery: outputs against the truth of the simulated cohort -> tables/recovery.tsv.

Nothing asks for it on other data.
"""

SIMULATED = [sample for sample, record in SAMPLES.items() if record["simulated"]]


rule recovery:
    """Doublets, identity, malignancy, copy number, shifts and claims against what was planted."""
    input:
        truth=[raw_paths(sample)[0] for sample in SIMULATED],
        shifts="downloads/demo/truth_shifts.tsv",
        true_arms="downloads/demo/truth_arms.tsv",
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SIMULATED),
        annotation="<results>/cohort/annotation.parquet",
        arms="<results>/tables/cnv_arms.tsv",
        contrasts="<results>/tables/contrasts.tsv",
        claims="<results>/tables/claims.tsv",
        markers="<shipped>/markers/markers.yaml",
        code=code("recovery", "knowledge.cell_types"),
    output:
        listed("recovery", "Findings", "how much of the planted truth came back"),
    log:
        "<logs>/recovery.log",
    benchmark:
        "<benchmarks>/recovery.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(310),
    params:
        samples=SIMULATED,
        alpha=lookup(dpath="compare/design/alpha", within=config),
    script:
        "../scripts/recovery.py"
