"""Variable genes of the cohort."""

from brainmet.features import Moments, features
from brainmet.job import job
from brainmet.tables import write_table

with job(snakemake) as params:
    write_table(features(Moments(snakemake.input.moments), **params), snakemake.output.features, "features")
