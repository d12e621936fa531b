"""QC and description of all samples."""

from brainmet.job import job
from brainmet.qc import collect, describe
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    qc = collect([read_table(path, "qc") for path in snakemake.input.summaries], excluded=params["excluded"])
    cells = {
        sample: read_table(path, "cells", columns=["donor", "condition"])
        for sample, path in zip(params["samples"], snakemake.input.cells, strict=True)
    }
    write_table(qc, snakemake.output.qc, "qc")
    write_table(describe(params["samples"], cells, qc), snakemake.output.samples, "samples")
