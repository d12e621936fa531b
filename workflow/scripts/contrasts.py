"""Contrasts of signatures."""

from brainmet.compare import Design
from brainmet.contrasts import contrasts
from brainmet.donor_scores import Scoring
from brainmet.job import job
from brainmet.stage_inputs import clean, cohort, sets
from brainmet.tables import write_table

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    how = {"design": Design(**params["design"]), "how": Scoring(**params["how"])}
    table = contrasts(donors, signatures, params["arms"], clean=clean(donors, params["ambient"]), **how)
    write_table(table, snakemake.output.table, "contrasts")
