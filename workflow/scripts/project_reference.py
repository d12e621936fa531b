"""The finished atlas, compressed for mapping."""

from brainmet.job import job
from brainmet.project import reference, save

with job(snakemake) as params:
    save(snakemake.output.reference, reference(snakemake.input.atlas, **params))
