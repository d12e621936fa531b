"""One h5ad a cell type."""

from brainmet.extract import by_value
from brainmet.run.job import job

with job(snakemake):
    by_value(snakemake.input.atlas, "cell_type", snakemake.output.folder)
