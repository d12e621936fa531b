"""Composition."""

from brainmet.compare.composition import composition
from brainmet.compare.contrast import read_contrasts
from brainmet.compare.estimators import Design
from brainmet.core.tables import write_table
from brainmet.pseudobulk import read_profiles
from brainmet.run.job import job

with job(snakemake) as params:
    profiles, design = read_profiles(snakemake.input.pseudobulk), Design(**params["design"])
    table = composition(profiles, read_contrasts(params["contrasts"]), design=design, min_cells=params["min_cells"])
    write_table(table, snakemake.output.table, "composition")
