"""Provenance: what went in, and what it was done with.

In: the raw files. Out: results/provenance/, exempt from the promise of equal bytes because it names versions and paths.
"""


rule provenance:
    """Versions, settings, samples and checksums of every raw file."""
    input:
        raw=sorted({path for sample in RECORDS for path in raw_paths(sample)}),
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
