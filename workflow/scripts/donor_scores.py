"""Scores of donors."""

from brainmet.compare.donor_scores import Scoring, table
from brainmet.compare.inputs import cohort, sets
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    write_table(table(donors, signatures, scoring=Scoring(**params["scoring"])), snakemake.output.table, "donor_scores")
