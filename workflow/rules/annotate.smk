"""Annotate: evidence of every method -> annotation.parquet (identity, malignancy, why), concordance, copy number.

Methods are files in brainmet/annotate that state SCOPE and REQUIRES; those of scope sample run beside the counts of one
sample, those of scope cohort see narrow tables of all samples.
"""

from brainmet.annotate import available, chosen

METHODS = chosen(config["annotate"]["methods"], config["annotate"])
ALL_METHODS = available()
SAMPLE_METHODS = [name for name, method in METHODS.items() if method.scope == "sample"]
COHORT_METHODS = [name for name, method in METHODS.items() if method.scope == "cohort"]
# What a method of scope cohort may read, by the names in its REQUIRES.
COHORT_FILES = (
    {
        "cells": collect("<results>/samples/{sample}/cells.parquet", sample=SAMPLES),
        "slices": collect("<results>/samples/{sample}/slice.npz", sample=SAMPLES),
        "features": "<results>/cohort/features.tsv",
        "neighbors": "<results>/cohort/neighbors.npz",
        "clusters": "<results>/cohort/clusters.parquet",
        "types": TYPES,
    }
    | {
        name: collect(f"<results>/samples/{{sample}}/evidence/{name}.parquet", sample=SAMPLES)
        for name in SAMPLE_METHODS
    }
    | {name: f"<results>/cohort/annotation/{name}.parquet" for name in COHORT_METHODS}
)
COHORT_INPUTS = {
    name: {required: COHORT_FILES[required] for required in METHODS[name].requires} for name in COHORT_METHODS
}
COHORT_CODE = {name: code(f"annotate.{name}", "annotate.inputs") for name in COHORT_METHODS}


rule evidence:
    """What every method of scope sample says of the kept cells of one sample; which types quality control dropped."""
    input:
        counts="<results>/samples/{sample}/counts.h5ad",
        cells="<results>/samples/{sample}/cells.parquet",
        types=TYPES,
        own=own_files(*SAMPLE_METHODS),
        code=code("annotate.inputs", "qc.dropped", *(f"annotate.{name}" for name in SAMPLE_METHODS)),
    output:
        **{name: f"<results>/samples/{{sample}}/evidence/{name}.parquet" for name in SAMPLE_METHODS},
        dropped="<results>/samples/{sample}/dropped.tsv",
    log:
        "<logs>/evidence/{sample}.log",
    benchmark:
        "<benchmarks>/evidence/{sample}.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(300, 2.8),
    params:
        methods=SAMPLE_METHODS,
        options={name: config["annotate"].get(name, {}) for name in SAMPLE_METHODS},
        look={
            "options": config["annotate"]["markers"],
            "flag_type": config["qc"]["flag_type"],
            "min_cells": config["qc"]["flag_cells"],
        },
    script:
        "../scripts/evidence.py"


rule collect_dropped:
    """The second look at quality control of all samples."""
    input:
        samples=collect("<results>/samples/{sample}/dropped.tsv", sample=SAMPLES),
        code=code("core.tables"),
    output:
        "<results>/tables/dropped.tsv",
    log:
        "<logs>/collect_dropped.log",
    benchmark:
        "<benchmarks>/collect_dropped.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(155),
    script:
        "../scripts/collect_dropped.py"


rule annotate_method:
    """What one method of scope cohort says of the kept cells of all samples."""
    input:
        unpack(lookup(dpath="{method}", within=COHORT_INPUTS)),
        own=lookup(dpath="{method}", within={name: own_files(name) for name in COHORT_METHODS}),
        code=lookup(dpath="{method}", within=COHORT_CODE),
    output:
        "<results>/cohort/annotation/{method}.parquet",
    log:
        "<logs>/annotate_method/{method}.log",
    benchmark:
        "<benchmarks>/annotate_method/{method}.tsv"
    wildcard_constraints:
        method="|".join(COHORT_METHODS) or "none",
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(230, 2.8),
    params:
        requires=lookup(dpath="{method}", within={name: METHODS[name].requires for name in COHORT_METHODS}),
        options=lookup(dpath="annotate/{method}", within=config, default={}),
    script:
        "../scripts/annotate_method.py"


rule annotate:
    """Identity, malignancy, confidence and the reason of every kept cell, from the evidence of all methods."""
    input:
        **{name: COHORT_FILES[name] for name in ("cells", "neighbors", "clusters", *METHODS)},
        types=TYPES,
        overrides=config["annotate"]["overrides"] or [],
        duplicates="<results>/tables/duplicates.tsv",
        code=code("annotate.consensus", "annotate.inputs", "duplicates", "annotate.consensus.overrides"),
    output:
        annotation="<results>/cohort/annotation.parquet",
    log:
        "<logs>/annotate.log",
    benchmark:
        "<benchmarks>/annotate.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(210, 6.2),
    params:
        methods=list(METHODS),
        sites={sample: record["primary_site"] for sample, record in SAMPLES.items()},
        options=lookup(dpath="annotate/consensus", within=config),
    script:
        "../scripts/annotate.py"


rule concordance:
    """Agreement with the authors' labels: by class, confusions, calibration of the confidence."""
    input:
        annotation="<results>/cohort/annotation.parquet",
        types=TYPES,
        code=code("concordance"),
    output:
        concordance=listed("concordance", "Cells", "agreement with the authors"),
        author_labels="<results>/tables/author_labels.tsv",
        confusion="<results>/tables/confusion.tsv",
        calibration="<results>/tables/calibration.tsv",
    log:
        "<logs>/concordance.log",
    benchmark:
        "<benchmarks>/concordance.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(170, 76),
    params:
        n_bootstrap=lookup(dpath="annotate/concordance/n_bootstrap", within=config),
        n_bins=lookup(dpath="annotate/concordance/n_bins", within=config),
        seed=lookup(dpath="annotate/concordance/seed", within=config),
    script:
        "../scripts/concordance.py"


rule collect_cnv_arms:
    """Copy number by chromosome arm of each sample's malignant and normal cells; a .seg file of each donor's tumour."""
    input:
        annotation="<results>/cohort/annotation.parquet",
        evidence=COHORT_FILES.get("copy_number", []),
        code=code("copy_number.arms", "annotate.inputs"),
    output:
        arms=listed("cnv_arms", "Cells", "copy number by arm"),
        segments=directory("<results>/cnv"),
    log:
        "<logs>/collect_cnv_arms.log",
    benchmark:
        "<benchmarks>/collect_cnv_arms.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(165, 27),
    params:
        min_cells=lookup(dpath="annotate/cnv_arms/min_cells", within=config),
        max_fdr=lookup(dpath="annotate/cnv_arms/max_fdr", within=config),
        min_shift=lookup(dpath="annotate/cnv_arms/min_shift", within=config),
    script:
        "../scripts/collect_cnv_arms.py"


rule cnv_windows:
    """Copy number along the genome of every sample's malignant cells and normal lineages, in windows of genes."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        types=TYPES,
        code=code("copy_number.windows"),
    output:
        "<results>/tables/cnv_windows.tsv",
    log:
        "<logs>/cnv_windows.log",
    benchmark:
        "<benchmarks>/cnv_windows.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(200, 8.5),
    params:
        min_cells=lookup(dpath="annotate/cnv_arms/min_cells", within=config),
        min_genes=lookup(dpath="annotate/cnv_windows/min_genes", within=config),
        window=lookup(dpath="annotate/cnv_windows/window", within=config),
        step=lookup(dpath="annotate/cnv_windows/step", within=config),
    script:
        "../scripts/cnv_windows.py"


rule annotation_benchmark:
    """On request: the annotation, each evidence alone and all other installed methods on the labelled cells."""
    input:
        **{name: COHORT_FILES[name] for name in ("cells", "slices", "features", "neighbors", "clusters")},
        counts=collect("<results>/samples/{sample}/counts.h5ad", sample=SAMPLES),
        annotation="<results>/cohort/annotation.parquet",
        types=TYPES,
        own=own_files(*ALL_METHODS),
        code=code("concordance.benchmark", "annotate.inputs", *(f"annotate.{name}" for name in ALL_METHODS)),
    output:
        "<results>/tables/annotation_benchmark.tsv",
    log:
        "<logs>/annotation_benchmark.log",
    benchmark:
        "<benchmarks>/annotation_benchmark.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(1500, 5),
    params:
        methods=list(METHODS),
        options={name: config["annotate"].get(name, {}) for name in ALL_METHODS},
        n_bootstrap=lookup(dpath="annotate/concordance/n_bootstrap", within=config),
        n_bins=lookup(dpath="annotate/concordance/n_bins", within=config),
        seed=lookup(dpath="annotate/concordance/seed", within=config),
    script:
        "../scripts/annotation_benchmark.py"
