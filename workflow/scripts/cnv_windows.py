"""Copy number along the genome of each sample's groups of cells."""

from brainmet.copy_number.windows import cnv_windows
from brainmet.core.tables import write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.pseudobulk import read
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    table = cnv_windows(read(snakemake.input.pseudobulk), types, **params)
    write_table(table, snakemake.output[0], "cnv_windows")
