"""Differential expression."""

from brainmet.estimators import Design
from brainmet.expression import expression
from brainmet.job import job
from brainmet.stage_inputs import clean, cohort
from brainmet.tables import write_table

with job(snakemake) as params:
    donors = cohort(snakemake.input, [], min_cells=params.pop("min_cells"))
    params["design"] = Design(**params["design"])
    params["clean"] = clean(donors, params.pop("ambient"))
    write_table(expression(donors, **params), snakemake.output.table, "de")
