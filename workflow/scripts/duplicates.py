"""Samples that hold the same cells."""

import pandas as pd
from brainmet.contract import Obs
from brainmet.core.tables import read_table, write_table
from brainmet.duplicates import PROFILE, duplicates
from brainmet.run.job import job

with job(snakemake) as params:
    columns = [Obs.SAMPLE, Obs.STUDY, *PROFILE]
    cells = pd.concat([read_table(path, "cells", columns=columns) for path in snakemake.input.cells])
    write_table(duplicates(cells, **params), snakemake.output.table, "duplicates")
