"""Cells of one new sample in the atlas."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.project import load, project
from brainmet.run.job import job
from brainmet.slice import slice_counts

with job(snakemake) as params:
    atlas = load(snakemake.input.reference)
    counts, cells = open_counts(snakemake.input.counts), read_table(snakemake.input.cells, "cells", columns=["keep"])
    part = slice_counts(counts, keep=counts.kept(cells), genes=atlas.genes)
    write_table(project(part, atlas, **params), snakemake.output.cells, "projection")
