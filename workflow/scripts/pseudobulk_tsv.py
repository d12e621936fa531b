"""Pseudobulk as text."""

from brainmet.extract import write_pseudobulk
from brainmet.pseudobulk import read
from brainmet.run.job import job

with job(snakemake):
    write_pseudobulk(read(snakemake.input.pseudobulk), snakemake.output.table)
