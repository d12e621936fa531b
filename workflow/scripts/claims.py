"""Verdicts on the claims."""

from brainmet.claims import claims, load
from brainmet.compare import Design
from brainmet.job import job
from brainmet.stage_inputs import reader
from brainmet.tables import write_table

with job(snakemake) as params:
    entries = load([snakemake.input.claims, *snakemake.input.own])
    table = claims(entries, reader(snakemake.input, params), design=Design(**params["design"]), bound=params["bound"])
    write_table(table, snakemake.output.table, "claims")
