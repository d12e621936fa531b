"""Project: counts of new samples + a finished atlas -> projection.parquet, their cells named by the atlas. On request.

`snakemake project -d new --config 'datasets=[NEW]' 'project={atlas: path/to/results/atlas.h5ad}'` runs ingest and qc of
the new samples and this stage; the atlas is read, never recomputed. Out: <results>/samples/{sample}/projection.parquet,
<results>/tables/projection_summary.tsv.
"""

# Where none is named, Snakemake says this sentence in place of the missing file.
FINISHED_ATLAS = config["project"]["atlas"] or "name the atlas.h5ad of a finished run as project.atlas"

# The same path as the output of `export`: Snakemake would make the "finished" atlas of the new samples.
if Path(FINISHED_ATLAS).resolve() == Path(workflow.pathvars.apply("<results>/atlas.h5ad")).resolve():
    raise WorkflowError(
        f"config.yaml: project.atlas: {FINISHED_ATLAS} is the atlas that this run itself writes; "
        "work in another folder with -d, and give the finished atlas by its absolute path"
    )


rule project_reference:
    """What mapping needs of the finished atlas: loadings, clusters, coordinates and labels."""
    input:
        atlas=FINISHED_ATLAS,
        code=code("project"),
    output:
        reference="<results>/cohort/reference.npz",
    log:
        "<logs>/project_reference.log",
    benchmark:
        "<benchmarks>/project_reference.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1000, 1.2),
    params:
        n_centres=lookup(dpath="project/n_centres", within=config),
        softness=lookup(dpath="project/softness", within=config),
        n_neighbors=lookup(dpath="project/n_neighbors", within=config),
        unlike_quantile=lookup(dpath="project/unlike_quantile", within=config),
        seed=lookup(dpath="project/seed", within=config),
    script:
        "../scripts/project_reference.py"


rule project_sample:
    """Cells of one new sample placed among the atlas' cells and named by them."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        reference="<results>/cohort/reference.npz",
        code=code("project", "core.tables"),
    output:
        cells="<results>/samples/{sample}/projection.parquet",
    log:
        "<logs>/project_sample/{sample}.log",
    benchmark:
        "<benchmarks>/project_sample/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(700, 3),
    params:
        sample="{sample}",
        softness=lookup(dpath="project/softness", within=config),
        n_neighbors=lookup(dpath="project/n_neighbors", within=config),
        min_confidence=lookup(dpath="project/min_confidence", within=config),
        min_measured=lookup(dpath="project/min_measured", within=config),
    script:
        "../scripts/project_sample.py"


rule project:
    """New samples mapped onto a finished atlas: cells by transferred type, and how many are unlike the atlas."""
    input:
        cells=collect("<results>/samples/{sample}/projection.parquet", sample=SAMPLES),
        code=code("project", "core.tables"),
    output:
        table="<results>/tables/projection_summary.tsv",
    log:
        "<logs>/project.log",
    benchmark:
        "<benchmarks>/project.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(250, 30),
    script:
        "../scripts/project.py"
