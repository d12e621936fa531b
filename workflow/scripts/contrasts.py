"""Contrasts of signatures."""

from brainmet.compare.confounders import explained_by
from brainmet.compare.contrast import read_contrasts
from brainmet.compare.contrasts import contrasts
from brainmet.compare.donor_scores import Scoring
from brainmet.compare.drift import drift
from brainmet.compare.estimators import Design
from brainmet.compare.inputs import clean, cohort, confounder_sets, sets
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params["tier"])
    donors = cohort(snakemake.input, signatures, min_cells=params["min_cells"])
    compared, cleaned = read_contrasts(params["contrasts"]), clean(donors, params["ambient"])
    design, scoring = Design(**params["design"]), Scoring(**params["scoring"])
    table = contrasts(donors, signatures, compared, clean=cleaned, design=design, scoring=scoring)
    table = drift(table, donors, signatures, compared, design=design, scoring=scoring)
    others, shares = confounder_sets(snakemake.input), donors.leading_share
    table["explained_by"] = explained_by(
        table, donors, signatures, others, compared, composition=shares, design=design, scoring=scoring
    )
    write_table(table, snakemake.output.table, "contrasts")
