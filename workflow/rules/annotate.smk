"""Annotate: evidence of every method -> annotation.parquet (identity, malignancy, why), concordance, copy number by arm.

Methods are files in brainmet/annotate that state SCOPE and REQUIRES; those of scope sample run beside the counts of one
sample, those of scope cohort see narrow tables of all samples.
"""

from brainmet.annotate import describe

try:
    METHODS = {name: describe(name) for name in config["annotate"]["methods"]}
except BrainmetError as error:
    raise WorkflowError(str(error)) from None
SAMPLE_METHODS = [name for name, method in METHODS.items() if method.scope == "sample"]
COHORT_METHODS = [name for name, method in METHODS.items() if method.scope == "cohort"]
EVIDENCE_FILES = {
    "counts": "<results>/samples/{sample}/counts.h5ad",
    "cells": "<results>/samples/{sample}/cells.parquet",
    "slices": "<results>/samples/{sample}/slice.npz",
    "features": "<results>/cohort/features.tsv",
    "neighbors": "<results>/cohort/neighbors.npz",
    "clusters": "<results>/cohort/clusters.parquet",
} | {
    name: (
        "<results>/samples/{sample}/evidence/" + name + ".parquet"
        if method.scope == "sample"
        else f"<results>/cohort/annotation/{name}.parquet"
    )
    for name, method in METHODS.items()
}


def method_inputs(wildcards):
    """Files of a method by the names it requires: one sample's, or all samples' in order."""
    method = METHODS[wildcards.method]
    if unknown := [name for name in method.requires if name not in EVIDENCE_FILES]:
        raise WorkflowError(
            f"annotation method {method.name} requires {', '.join(unknown)}; known: {', '.join(EVIDENCE_FILES)}"
        )
    return {
        name: collect(EVIDENCE_FILES[name], sample=wildcards.get("sample", list(SAMPLES)))
        for name in method.requires
    }


def method_code(wildcards):
    """Modules of a method."""
    return code(f"annotate.{wildcards.method}", "evidence")


def method_requires(wildcards):
    """Names of what a method reads."""
    return list(METHODS[wildcards.method].requires)


rule evidence:
    """What one method says of the kept cells of one sample."""
    input:
        unpack(method_inputs),
        types="<shipped>/markers/markers.yaml",
        type_files=lookup(dpath="annotate/marker_files", within=config),
        code=method_code,
    output:
        "<results>/samples/{sample}/evidence/{method}.parquet",
    log:
        "<logs>/evidence/{sample}/{method}.log",
    benchmark:
        "<benchmarks>/evidence/{sample}/{method}.tsv"
    wildcard_constraints:
        method="|".join(SAMPLE_METHODS) or "none",
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=1200,
    params:
        requires=method_requires,
        options=lookup(dpath="annotate/{method}", within=config, default={}),
    script:
        "../scripts/evidence.py"


rule annotate_method:
    """What one method says of the kept cells of the cohort."""
    input:
        unpack(method_inputs),
        types="<shipped>/markers/markers.yaml",
        type_files=lookup(dpath="annotate/marker_files", within=config),
        code=method_code,
    output:
        "<results>/cohort/annotation/{method}.parquet",
    log:
        "<logs>/annotate_method/{method}.log",
    benchmark:
        "<benchmarks>/annotate_method/{method}.tsv"
    wildcard_constraints:
        method="|".join(COHORT_METHODS) or "none",
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=2000,
    params:
        requires=method_requires,
        options=lookup(dpath="annotate/{method}", within=config, default={}),
    script:
        "../scripts/evidence.py"


rule annotate:
    """Identity, malignancy, confidence and the reason of every kept cell, from the evidence of all methods."""
    input:
        **{
            name: collect(EVIDENCE_FILES[name], sample=SAMPLES)
            for name in ("cells", "neighbors", "clusters", *METHODS)
        },
        types="<shipped>/markers/markers.yaml",
        type_files=lookup(dpath="annotate/marker_files", within=config),
        overrides=lookup(dpath="annotate/overrides", within=config),
        code=code("consensus", "evidence"),
    output:
        annotation="<results>/cohort/annotation.parquet",
    log:
        "<logs>/annotate.log",
    benchmark:
        "<benchmarks>/annotate.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=2000,
    params:
        methods=list(METHODS),
        options=lookup(dpath="annotate/consensus", within=config),
    script:
        "../scripts/annotate.py"


rule concordance:
    """Agreement with the authors' labels: by class, confusions, calibration of the confidence."""
    input:
        annotation="<results>/cohort/annotation.parquet",
        types="<shipped>/markers/markers.yaml",
        type_files=lookup(dpath="annotate/marker_files", within=config),
        code=code("concordance"),
    output:
        concordance="<results>/tables/concordance.tsv",
        confusion="<results>/tables/confusion.tsv",
        calibration="<results>/tables/calibration.tsv",
    log:
        "<logs>/concordance.log",
    benchmark:
        "<benchmarks>/concordance.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=800,
    params:
        n_bootstrap=lookup(dpath="annotate/concordance/n_bootstrap", within=config),
        n_bins=lookup(dpath="annotate/concordance/n_bins", within=config),
        seed=lookup(dpath="annotate/concordance/seed", within=config),
    script:
        "../scripts/concordance.py"


rule collect_cnv_arms:
    """Copy number by chromosome arm of every sample's malignant and normal cells."""
    input:
        annotation="<results>/cohort/annotation.parquet",
        evidence=(
            collect(EVIDENCE_FILES.get("copy_number", []), sample=SAMPLES)
            if "copy_number" in METHODS
            else []
        ),
        code=code("cnv_arms", "evidence"),
    output:
        arms="<results>/tables/cnv_arms.tsv",
    log:
        "<logs>/collect_cnv_arms.log",
    benchmark:
        "<benchmarks>/collect_cnv_arms.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=1000,
    params:
        min_cells=lookup(dpath="annotate/cnv_arms/min_cells", within=config),
        min_z=lookup(dpath="annotate/cnv_arms/min_z", within=config),
        min_shift=lookup(dpath="annotate/cnv_arms/min_shift", within=config),
    script:
        "../scripts/collect_cnv_arms.py"
