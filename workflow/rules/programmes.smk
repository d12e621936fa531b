"""Programmes: what varies between the malignant cells of a donor, and returns in other donors.

In: slices (variable genes) and cells of all samples, the annotation, the signatures.
Out: tables/programmes.tsv, recurrent programmes with their genes and nearest signature; tables/programme_pairs.tsv,
which coexist and which exclude each other.
"""


rule programmes:
    """NMF of each donor's malignant cells; factors that recur, matched to signatures, correlated within donors."""
    input:
        **SIGNATURES,
        slices=collect("<results>/samples/{sample}/slice.npz", sample=SAMPLES),
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        annotation="<results>/cohort/annotation.parquet",
        features="<results>/cohort/features.tsv",
        code=code("programmes"),
    output:
        programmes=listed("programmes", "Findings", "recurrent programmes"),
        pairs="<results>/tables/programme_pairs.tsv",
    log:
        "<logs>/programmes.log",
    benchmark:
        "<benchmarks>/programmes.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(300, 2),
    params:
        tier=lookup(dpath="score/tier", within=config),
        ranks=lookup(dpath="programmes/ranks", within=config),
        n_genes=lookup(dpath="programmes/n_genes", within=config),
        min_cells=lookup(dpath="programmes/min_cells", within=config),
        max_cells=lookup(dpath="programmes/max_cells", within=config),
        min_detected=lookup(dpath="programmes/min_detected", within=config),
        min_donors=lookup(dpath="programmes/min_donors", within=config),
        overlap_within=lookup(dpath="programmes/overlap_within", within=config),
        overlap_between=lookup(dpath="programmes/overlap_between", within=config),
        max_iter=lookup(dpath="programmes/max_iter", within=config),
        seed=lookup(dpath="programmes/seed", within=config),
    script:
        "../scripts/programmes.py"
