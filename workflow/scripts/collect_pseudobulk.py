"""Pseudobulk of the cohort."""

from brainmet.pseudobulk import collect, read, write
from brainmet.run.job import job

with job(snakemake):
    write(collect([read(path) for path in snakemake.input.parts]), snakemake.output.pseudobulk)
