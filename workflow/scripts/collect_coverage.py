"""Coverage of all samples."""

import pandas as pd
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job

with job(snakemake):
    tables = [read_table(path, "coverage") for path in snakemake.input.coverage]
    write_table(pd.concat(tables, ignore_index=True), snakemake.output.coverage, "coverage")
