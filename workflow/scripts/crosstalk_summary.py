"""Axes of crosstalk over donors."""

from brainmet import crosstalk, crosstalk_summary, tables
from brainmet.job import job

with job(snakemake) as params:
    axes = crosstalk.load(snakemake.input.axes)
    table = crosstalk_summary.summary(tables.read_table(snakemake.input.table, "crosstalk"), axes, **params)
    tables.write_table(table, snakemake.output.table, "crosstalk_summary")
