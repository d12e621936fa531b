"""Metabolic tasks in one sample."""

from brainmet.counts import open_counts
from brainmet.job import job
from brainmet.metabolic_tasks import load, score_tasks
from brainmet.tables import read_table, write_table

with job(snakemake):
    files = snakemake.input
    table = score_tasks(open_counts(files.counts), read_table(files.cells, "cells"), load(files.database))
    write_table(table, snakemake.output.scores, "scores_tasks")
