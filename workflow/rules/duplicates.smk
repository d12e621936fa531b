"""Duplicates: cells.parquet of all samples -> pairs of samples that hold the same cells.

`annotate` leaves out one sample of each pair.
"""


rule duplicates:
    """Samples that hold the same cells, and which of them to leave out."""
    input:
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        code=code("duplicates", "core.tables"),
    output:
        table="<results>/tables/duplicates.tsv",
    log:
        "<logs>/duplicates.log",
    benchmark:
        "<benchmarks>/duplicates.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(160, 17),
    params:
        drop=lookup(dpath="duplicates/drop", within=config),
    script:
        "../scripts/duplicates.py"
