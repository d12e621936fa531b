"""Informative genes of one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table
from brainmet.features import informative
from brainmet.run.job import job
from brainmet.slice import save, slice_counts

with job(snakemake):
    counts, cells = open_counts(snakemake.input.counts), read_table(snakemake.input.cells, "cells", columns=["keep"])
    genes, variable = informative(read_table(snakemake.input.features, "features"))
    part = slice_counts(counts, keep=counts.kept(cells), genes=genes, variable=variable)
    save(snakemake.output.slice, part)
