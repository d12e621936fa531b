"""Clusters of all cells."""

from brainmet.cluster import choose, clusters, label
from brainmet.core.neighbors import load
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job

with job(snakemake) as params:
    chosen = choose(read_table(snakemake.input.stability, "stability"), resolution=params.pop("resolution"))
    params["resolutions"] = sorted({*params["resolutions"], chosen})
    cells = read_table(snakemake.input.embedding, "embedding", columns=["sample"]).index.to_numpy()
    found = clusters(cells, load(snakemake.input.neighbors)[0], **params)
    write_table(label(found, chosen), snakemake.output.clusters, "clusters")
