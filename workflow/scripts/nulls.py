"""Nulls of the contrasts."""

from brainmet.donor_scores import Scoring
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.nulls import nulls
from brainmet.stage_inputs import clean, cohort, sets
from brainmet.tables import write_table

with job(snakemake) as params:
    signatures = sets(snakemake.input, tier=params.pop("tier"))
    donors = cohort(snakemake.input, signatures, min_cells=params.pop("min_cells"))
    params |= {"design": Design(**params["design"]), "how": Scoring(**params["how"])}
    params["clean"] = clean(donors, params.pop("ambient"))
    write_table(nulls(donors, signatures, **params), snakemake.output.table, "nulls")
