"""One sample from its files into the contract's shape."""

from pathlib import Path

from brainmet.fetch import verify
from brainmet.genes import read_genes
from brainmet.ingest import ingest
from brainmet.job import job

with job(snakemake) as params:
    for file, path in zip(params["record"]["files"], snakemake.input.files, strict=True):
        verify(file, Path(path))
    human = read_genes(snakemake.input.human)
    mouse = read_genes(snakemake.input.mouse) if "mouse" in params["record"]["organism"] else None
    sample = ingest(snakemake.input.files, human, mouse, **params)
    sample.write(snakemake.output.counts, snakemake.output.genes_lost)
