"""The second look at quality control of all samples."""

import pandas as pd
from brainmet.job import job
from brainmet.tables import read_table, write_table

with job(snakemake):
    tables = [read_table(path, "dropped") for path in snakemake.input.samples]
    write_table(pd.concat(tables, ignore_index=True), snakemake.output[0], "dropped")
