"""Axes of crosstalk over donors."""

from brainmet import crosstalk
from brainmet.core import tables
from brainmet.crosstalk.summary import summary
from brainmet.run.job import job

with job(snakemake) as params:
    axes = crosstalk.load(snakemake.input.axes)
    table = summary(tables.read_table(snakemake.input.table, "crosstalk"), axes, **params)
    tables.write_table(table, snakemake.output.table, "crosstalk_summary")
