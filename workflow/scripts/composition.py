"""Composition."""

from brainmet.composition import composition
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.pseudobulk import read_profiles
from brainmet.tables import write_table

with job(snakemake) as params:
    profiles, design = read_profiles(snakemake.input.pseudobulk), Design(**params["design"])
    table = composition(profiles, params["contrasts"], design=design, min_cells=params["min_cells"])
    write_table(table, snakemake.output.table, "composition")
