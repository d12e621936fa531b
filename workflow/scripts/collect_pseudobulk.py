"""Pseudobulk of the cohort."""

from brainmet.job import job
from brainmet.pseudobulk import collect, read, write

with job(snakemake):
    write(collect([read(path) for path in snakemake.input.parts]), snakemake.output.pseudobulk)
