"""Pseudobulk as text."""

from brainmet.extract import write_pseudobulk
from brainmet.job import job
from brainmet.pseudobulk import read

with job(snakemake):
    write_pseudobulk(read(snakemake.input.pseudobulk), snakemake.output.table)
