"""Contrasts of signatures."""

from brainmet.confounders import explained_by
from brainmet.contrasts import contrasts
from brainmet.donor_scores import Scoring
from brainmet.drift import drift
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.stage_inputs import clean, cohort, confounder_sets, sets
from brainmet.tables import write_table

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    design, how, arms = Design(**params["design"]), Scoring(**params["scoring"]), params["contrasts"]
    cleaned = clean(donors, params["ambient"])
    table = contrasts(donors, signatures, arms, clean=cleaned, design=design, how=how)
    table = drift(table, donors, signatures, arms, design=design, how=how)
    others, shares = confounder_sets(snakemake.input), donors.leading_share
    table["explained_by"] = explained_by(
        table, donors, signatures, others, arms, composition=shares, design=design, how=how
    )
    write_table(table, snakemake.output.table, "contrasts")
