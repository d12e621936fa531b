"""Contrasts of signatures."""

from brainmet.compare import Design
from brainmet.contrasts import contrasts
from brainmet.donor_scores import Scoring
from brainmet.job import job
from brainmet.stage_inputs import cohort, sets
from brainmet.tables import write_table

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    design, how = Design(**params["design"]), Scoring(**params["how"])
    write_table(
        contrasts(donors, signatures, params["arms"], design=design, how=how), snakemake.output.table, "contrasts"
    )
