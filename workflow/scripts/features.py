"""Variable genes of the cohort."""

from brainmet.core.tables import write_table
from brainmet.features import Moments, features
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    table = features(Moments(snakemake.input.moments), markers=types.markers(), **params)
    write_table(table, snakemake.output.features, "features")
