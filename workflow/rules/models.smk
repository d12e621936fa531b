"""Models: fidelity of xenografts, organoids, cell lines and mouse models, set beside patients.

In: the cohort's pseudobulk, the signatures. Out: tables/fidelity.tsv, one row per model, compartment and reference
condition; its header alone when the run holds no model.
"""


rule fidelity:
    """Rank correlation and signature concordance of each model with patients, and that of patients as the ceiling."""
    input:
        **SIGNATURES,
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        code=code("models"),
    output:
        table=listed("fidelity", "Findings", "models beside patients"),
    log:
        "<logs>/fidelity.log",
    benchmark:
        "<benchmarks>/fidelity.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(195, 54),
    params:
        tier=lookup(dpath="score/tier", within=config),
        references=lookup(dpath="models/references", within=config),
        min_cells=lookup(dpath="models/min_cells", within=config),
        min_cpm=lookup(dpath="models/min_cpm", within=config),
        min_genes=lookup(dpath="models/min_genes", within=config),
        seed=lookup(dpath="models/seed", within=config),
    script:
        "../scripts/fidelity.py"
