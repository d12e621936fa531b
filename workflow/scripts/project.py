"""New samples by transferred type."""

import pandas as pd
from brainmet.job import job
from brainmet.project import summary
from brainmet.tables import read_table, write_table

with job(snakemake):
    cells = pd.concat([read_table(path, "projection") for path in snakemake.input.cells])
    write_table(summary(cells), snakemake.output.table, "projection_summary")
