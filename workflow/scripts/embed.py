"""One space for the cells of all samples."""

from brainmet.core.neighbors import save
from brainmet.core.tables import write_table
from brainmet.embed import embedding
from brainmet.run.job import job
from brainmet.slice import read_slices

with job(snakemake) as params:
    table, indices, distances = embedding(read_slices(snakemake.input.slices), threads=snakemake.threads, **params)
    write_table(table, snakemake.output.embedding, "embedding")
    save(snakemake.output.neighbors, indices, distances)
