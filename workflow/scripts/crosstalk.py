"""Axes of crosstalk in each sample."""

from brainmet import crosstalk, pseudobulk
from brainmet.core import tables
from brainmet.crosstalk import ligands
from brainmet.knowledge import cell_types
from brainmet.pseudobulk import type_profiles
from brainmet.run.job import job

with job(snakemake) as params:
    axes = crosstalk.load(snakemake.input.axes)
    parents = type_profiles.parents_of(cell_types.load_cell_types(snakemake.input.types))
    profiles = pseudobulk.read(snakemake.input.pseudobulk)
    table = crosstalk.crosstalk(profiles, axes, ligands.consensus_pairs(), parents, **params)
    tables.write_table(table, snakemake.output.table, "crosstalk")
