"""Cells of one new sample in the atlas."""

from brainmet.counts import open_counts
from brainmet.job import job
from brainmet.project import load, project
from brainmet.slice import slice_counts
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    atlas = load(snakemake.input.reference)
    counts, cells = open_counts(snakemake.input.counts), read_table(snakemake.input.cells, "cells", columns=["keep"])
    part = slice_counts(counts, keep=counts.kept(cells), genes=atlas.genes)
    write_table(project(part, atlas, **params), snakemake.output.cells, "projection")
