"""Activities of the user's networks in one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job
from brainmet.score.networks import load, score_networks

with job(snakemake) as params:
    files = snakemake.input
    networks, cells = [load(path) for path in files.networks], read_table(files.cells, "cells")
    write_table(
        score_networks(open_counts(files.counts), cells, networks, **params), snakemake.output.scores, "scores_networks"
    )
