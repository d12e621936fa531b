"""Markers of the cell types."""

from brainmet.job import job
from brainmet.pseudobulk import read
from brainmet.tables import write_table
from brainmet.type_markers import markers

with job(snakemake) as params:
    write_table(markers(read(snakemake.input.pseudobulk), **params), snakemake.output.table, "markers")
