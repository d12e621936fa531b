"""One h5ad a cell type."""

from brainmet.extract import by_cell_type
from brainmet.run.job import job

with job(snakemake):
    by_cell_type(snakemake.input.atlas, snakemake.output.folder)
