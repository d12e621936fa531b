"""ULM scores of one sample."""

from brainmet.counts import open_counts
from brainmet.job import job
from brainmet.score import score
from brainmet.signatures import configured
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    files = snakemake.input
    choice = {name: params.pop(name) for name in ("tier", "confounders")}
    signatures = configured(files.signatures, files.files, files.confounders, **choice)
    scores, coverage = score(open_counts(files.counts), read_table(files.cells, "cells"), signatures, **params)
    write_table(scores, snakemake.output.scores, "scores")
    write_table(coverage, snakemake.output.coverage, "coverage")
