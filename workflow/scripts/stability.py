"""Stability of the clusters of each resolution."""

from brainmet.cluster import stability
from brainmet.core.tables import read_table, write_table
from brainmet.embed import integrated
from brainmet.run.job import job

with job(snakemake) as params:
    points = integrated(read_table(snakemake.input.embedding, "embedding"))
    write_table(stability(points, **params), snakemake.output.table, "stability")
