"""AUCell scores of one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.knowledge.signatures import configured
from brainmet.run.job import job
from brainmet.score import score_aucell

with job(snakemake) as params:
    files = snakemake.input
    signatures = configured(files.signatures, files.files, files.confounders, **params)
    cells, coverage = read_table(files.cells, "cells"), read_table(files.coverage, "coverage")
    cutoff = int(read_table(files.cutoff, "aucell_cutoff")["cutoff"].iloc[0])
    scores = score_aucell(open_counts(files.counts), cells, signatures, coverage, cutoff=cutoff)
    write_table(scores, snakemake.output.scores, "scores_aucell")
