"""The second look at quality control of all samples."""

import pandas as pd
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job

with job(snakemake):
    tables = [read_table(path, "dropped") for path in snakemake.input.samples]
    write_table(pd.concat(tables, ignore_index=True), snakemake.output[0], "dropped")
