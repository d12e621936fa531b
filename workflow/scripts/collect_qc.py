"""QC and description of all samples."""

from brainmet.core.tables import read_table, write_table
from brainmet.qc import collect, describe
from brainmet.run.job import job

with job(snakemake) as params:
    qc = collect([read_table(path, "qc") for path in snakemake.input.summaries], excluded=params["excluded"])
    cells = {
        sample: read_table(path, "cells", columns=["donor", "condition"])
        for sample, path in zip(params["samples"], snakemake.input.cells, strict=True)
    }
    write_table(qc, snakemake.output.qc, "qc")
    write_table(describe(params["samples"], cells, qc), snakemake.output.samples, "samples")
