"""Composition."""

from brainmet.composition import composition
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.pseudobulk import read
from brainmet.tables import write_table

with job(snakemake) as params:
    params["design"] = Design(**params["design"])
    write_table(composition(read(snakemake.input.bulk).obs, **params), snakemake.output.table, "composition")
