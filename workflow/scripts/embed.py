"""One space for the cells of all samples."""

from brainmet.embed import embedding
from brainmet.job import job
from brainmet.neighbors import save
from brainmet.slice import Slices
from brainmet.tables import write_table

with job(snakemake) as params:
    table, indices, distances = embedding(Slices(snakemake.input.slices), threads=snakemake.threads, **params)
    write_table(table, snakemake.output.embedding, "embedding")
    save(snakemake.output.neighbors, indices, distances)
