"""New samples by transferred type."""

import pandas as pd
from brainmet.core.tables import read_table, write_table
from brainmet.project import summary
from brainmet.run.job import job

with job(snakemake):
    cells = pd.concat([read_table(path, "projection") for path in snakemake.input.cells])
    write_table(summary(cells), snakemake.output.table, "projection_summary")
