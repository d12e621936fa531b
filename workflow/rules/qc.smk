"""QC: counts -> cells.parquet, moments.parquet, qc.tsv.

cells.parquet holds metrics, doublets, verdict and reason of every barcode; moments.parquet the genes over kept cells.
"""


rule qc:
    """QC metrics, doublets, keep and reason for every barcode of one sample; gene moments of the kept cells."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        types=TYPES,
        code=code("qc"),
    output:
        cells="<results>/samples/{sample}/cells.parquet",
        moments="<results>/samples/{sample}/moments.parquet",
        summary="<results>/samples/{sample}/qc.tsv",
    log:
        "<logs>/qc/{sample}.log",
    benchmark:
        "<benchmarks>/qc/{sample}.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(300, 2.5),
    params:
        n_mads=lookup(dpath="qc/n_mads", within=config),
        profiles=lookup(dpath="qc/profiles", within=config),
        fixed=lookup(dpath="qc/fixed", within=config),
        doublets=lookup(dpath="qc/doublets", within=config),
        doublet_rate=lookup(dpath="{sample}/doublet_rate", within=SAMPLES),
        flag_dropped=lookup(dpath="qc/flag_dropped", within=config),
        seed=lookup(dpath="qc/seed", within=config),
    script:
        "../scripts/qc.py"


rule collect_qc:
    """The QC of all samples and their description, excluded samples included."""
    input:
        summaries=collect("<results>/samples/{sample}/qc.tsv", sample=SAMPLES),
        cells=collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        code=code("qc"),
    output:
        qc=listed("qc", "Quality", "quality by sample"),
        samples=listed("samples", "Quality", "samples of the run"),
    log:
        "<logs>/collect_qc.log",
    benchmark:
        "<benchmarks>/collect_qc.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(190, 7),
    params:
        samples=SAMPLES,
        excluded=lookup(dpath="exclude", within=config),
    script:
        "../scripts/collect_qc.py"
