"""The finished atlas, compressed for mapping."""

from brainmet.project import reference, save
from brainmet.run.job import job

with job(snakemake) as params:
    save(snakemake.output.reference, reference(snakemake.input.atlas, **params))
