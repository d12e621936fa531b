"""Nulls of the contrasts."""

from brainmet.compare.contrast import read_contrasts
from brainmet.compare.donor_scores import Scoring
from brainmet.compare.estimators import Design
from brainmet.compare.inputs import clean, cohort, sets
from brainmet.compare.nulls import nulls
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    table = nulls(
        donors,
        signatures,
        read_contrasts(params["contrasts"]),
        design=Design(**params["design"]),
        scoring=Scoring(**params["scoring"]),
        runs=params["runs"],
        clean=clean(donors, params["ambient"]),
    )
    write_table(table, snakemake.output.table, "nulls")
