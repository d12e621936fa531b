"""One sample from its files into the contract's shape."""

from brainmet.genes import read_genes
from brainmet.ingest import ingest
from brainmet.job import job

with job(snakemake) as params:
    human = read_genes(snakemake.input.human)
    mouse = read_genes(snakemake.input.mouse) if "mouse" in params["record"]["organism"] else None
    sample = ingest(snakemake.input.files, human, mouse, **params)
    sample.write(snakemake.output.counts, snakemake.output.genes_lost)
