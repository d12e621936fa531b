"""Scores of donors."""

from brainmet.donor_scores import Scoring, table
from brainmet.job import job
from brainmet.stage_inputs import cohort, sets
from brainmet.tables import write_table

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    write_table(table(donors, signatures, how=Scoring(**params["scoring"])), snakemake.output.table, "donor_scores")
