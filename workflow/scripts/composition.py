"""Composition."""

from brainmet.composition import composition
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.pseudobulk import read_profiles
from brainmet.tables import write_table

with job(snakemake) as params:
    params["design"] = Design(**params["design"])
    write_table(composition(read_profiles(snakemake.input.pseudobulk), **params), snakemake.output.table, "composition")
