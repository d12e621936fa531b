"""The design of the run, printed."""

import sys

from brainmet.core.tables import read_table
from brainmet.design import cost, text, unlisted
from brainmet.run.job import job

with job(snakemake) as params:
    size = cost(params["records"], params["published"], **params["assumed"])
    tables = read_table(snakemake.input.design, "design"), read_table(snakemake.input.cohort, "design_cohort")
    sys.stdout.write(text(*tables, size, unlisted(params["records"], params["published"])))
