"""Clusters of all cells."""

from brainmet.cluster import choose, clusters, label
from brainmet.job import job
from brainmet.neighbors import load
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    chosen = choose(read_table(snakemake.input.stability, "stability"), resolution=params.pop("resolution"))
    params["resolutions"] = sorted({*params["resolutions"], chosen})
    cells = read_table(snakemake.input.embedding, "embedding", columns=["sample"]).index.to_numpy()
    found = clusters(cells, load(snakemake.input.neighbors)[0], **params)
    write_table(label(found, chosen), snakemake.output.clusters, "clusters")
