"""The atlas for CELLxGENE."""

from brainmet.extract import for_cellxgene
from brainmet.run.job import job

with job(snakemake):
    for_cellxgene(snakemake.input.atlas, snakemake.output.atlas)
