"""Activities of the user's networks in one sample."""

from brainmet.counts import open_counts
from brainmet.job import job
from brainmet.networks import load, score_networks
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    files = snakemake.input
    networks, cells = [load(path) for path in files.networks], read_table(files.cells, "cells")
    write_table(
        score_networks(open_counts(files.counts), cells, networks, **params), snakemake.output.scores, "scores_networks"
    )
