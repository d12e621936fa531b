"""Provenance: what went in, and what it was done with.

In: the checksums that ingest took of the raw files, and the files of knowledge, shipped and the user's own. Out:
results/provenance/, exempt from the promise of equal bytes because it names versions and paths. Raw files are read by
ingest alone: downloads may be deleted once their samples are ingested.
"""

# Signatures, markers, claims, genes, ...: files that results depend on, by the name under which they are recorded.
KNOWLEDGE = {
    path.relative_to(HOME).as_posix(): str(path)
    for path in sorted((HOME / "resources").glob("*/*"))
    if path.parent.name not in ("datasets", "demo") and path.suffix in (".yaml", ".tsv", ".gz")
} | {os.path.abspath(file): file for _, file in plan.own_files(config)}


rule provenance:
    """Versions, settings, samples and checksums of every raw file and of all knowledge."""
    input:
        inputs=collect("<results>/samples/{sample}/inputs.tsv", sample=RECORDS),
        knowledge=list(KNOWLEDGE.values()),
        code=code("provenance", "fetch"),
    output:
        contract="<results>/provenance/contract.json",
        run="<results>/provenance/run.json",
        inputs="<results>/provenance/inputs.tsv",
    log:
        "<logs>/provenance.log",
    benchmark:
        "<benchmarks>/provenance.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(155),
    params:
        config=config,
        samples=RECORDS,
        knowledge=list(KNOWLEDGE),
    script:
        "../scripts/provenance.py"


# Raw file to its entry in the dataset file: a published file is known by its address.
SOURCES = {
    path: {key: file[key] for key in ("url", "package") if file.get(key)}
    for sample, record in RECORDS.items()
    for path, file in zip(raw_paths(sample), record["files"])
}


rule crate:
    """The results as an RO-Crate: inputs and outputs with checksums, settings, software."""
    input:
        results=[
            "<results>/atlas.h5ad",
            "<results>/report.html",
            "<results>/cohort/annotation.parquet",
            *rules.provenance.output,
            *rules.figures.output,
            *collect("<results>/tables/{table}.tsv", table=TABLES),
        ],
        run="<results>/provenance/run.json",
        inputs="<results>/provenance/inputs.tsv",
        code=code("provenance.crate"),
    output:
        "<results>/ro-crate-metadata.json",
    log:
        "<logs>/crate.log",
    benchmark:
        "<benchmarks>/crate.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(170),
    params:
        sources=SOURCES,
        titles={dataset: entry["title"] for dataset, entry in DATASETS.items()},
    script:
        "../scripts/crate.py"
