"""Provenance: what went in, and what it was done with.

In: the checksums that ingest took of the raw files. Out: results/provenance/, exempt from the promise of equal bytes because it
names versions and paths. Raw files are read by ingest alone: downloads may be deleted once their samples are ingested.
"""


rule provenance:
    """Versions, settings, samples and checksums of every raw file."""
    input:
        inputs=collect("<results>/samples/{sample}/inputs.tsv", sample=RECORDS),
        code=code("provenance"),
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
        mem_mb=memory(180),
    params:
        config=config,
        samples=RECORDS,
    script:
        "../scripts/provenance.py"
