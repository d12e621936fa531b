"""Antigen counts of one sample."""

from brainmet import druggability
from brainmet.counts import open_counts
from brainmet.job import job
from brainmet.tables import read_table, write_table

with job(snakemake):
    genes = druggability.load(snakemake.input.drugs).antigens()
    keep = read_table(snakemake.input.cells, "cells")["keep"].to_numpy()
    write_table(
        druggability.antigens(open_counts(snakemake.input.counts), keep, genes), snakemake.output.antigens, "antigens"
    )
