"""The atlas for Seurat."""

from brainmet.extract import for_seurat
from brainmet.run.job import job

with job(snakemake):
    for_seurat(snakemake.input.atlas, snakemake.output.matrix, snakemake.output.cells)
