"""Metabolic tasks in one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job
from brainmet.score.metabolic_tasks import load, score_tasks

with job(snakemake):
    files = snakemake.input
    table = score_tasks(open_counts(files.counts), read_table(files.cells, "cells"), load(files.database))
    write_table(table, snakemake.output.scores, "scores_tasks")
