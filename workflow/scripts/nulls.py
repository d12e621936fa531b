"""Nulls of the contrasts."""

from brainmet.donor_scores import Scoring
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.nulls import nulls
from brainmet.stage_inputs import clean, cohort, sets
from brainmet.tables import write_table

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    table = nulls(
        donors,
        signatures,
        params["contrasts"],
        design=Design(**params["design"]),
        how=Scoring(**params["scoring"]),
        runs=params["runs"],
        clean=clean(donors, params["ambient"]),
    )
    write_table(table, snakemake.output.table, "nulls")
