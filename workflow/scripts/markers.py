"""Markers of the cell types."""

from brainmet.compare.type_markers import markers
from brainmet.core.tables import write_table
from brainmet.pseudobulk import read
from brainmet.run.job import job

with job(snakemake) as params:
    write_table(markers(read(snakemake.input.pseudobulk), **params), snakemake.output.table, "markers")
