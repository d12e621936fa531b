"""Copy number along the genome of each sample's groups of cells."""

from brainmet.cell_types import load_cell_types
from brainmet.cnv_windows import cnv_windows
from brainmet.job import job
from brainmet.pseudobulk import read
from brainmet.tables import write_table

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    table = cnv_windows(read(snakemake.input.pseudobulk), types, **params)
    write_table(table, snakemake.output[0], "cnv_windows")
