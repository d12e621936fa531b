"""QC of one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.qc import qc
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    cells, moments, summary = qc(open_counts(snakemake.input.counts), types=types, **params)
    write_table(cells, snakemake.output.cells, "cells")
    write_table(moments, snakemake.output.moments, "moments")
    write_table(summary, snakemake.output.summary, "qc")
