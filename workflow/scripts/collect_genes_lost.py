"""The genes lost by all samples in one table."""

import pandas as pd
from brainmet.job import job
from brainmet.tables import read_table, write_table

with job(snakemake):
    rows = [read_table(path, "genes_lost") for path in snakemake.input.samples]
    write_table(pd.concat(rows, ignore_index=True), snakemake.output[0], "genes_lost")
