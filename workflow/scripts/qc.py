"""QC of one sample."""

from brainmet.counts import open_counts
from brainmet.job import job
from brainmet.qc import qc
from brainmet.tables import write_table

with job(snakemake) as params:
    cells, moments, summary = qc(open_counts(snakemake.input.counts), **params)
    write_table(cells, snakemake.output.cells, "cells")
    write_table(moments, snakemake.output.moments, "moments")
    write_table(summary, snakemake.output.summary, "qc")
