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
    how = {"design": Design(**params["design"]), "how": Scoring(**params["how"])}
    table = contrasts(donors, signatures, params["arms"], clean=clean(donors, params["ambient"]), **how)
    table = drift(table, donors, signatures, params["arms"], **how)
    others, arms = confounder_sets(snakemake.input), params["arms"]
    table["explained_by"] = explained_by(
        table, donors, signatures, others, arms, composition=donors.leading_share, **how
    )
    write_table(table, snakemake.output.table, "contrasts")
