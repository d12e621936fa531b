"""What the dataset files of the run allow."""

from brainmet.claims.entries import load
from brainmet.compare.contrast import read_contrasts
from brainmet.compare.estimators import Design
from brainmet.core.tables import write_table
from brainmet.design import cohort, estimable
from brainmet.run.job import job

with job(snakemake) as params:
    claims = load([snakemake.input.claims, *snakemake.input.claim_files])
    records, design = params["records"], Design(**params["design"])
    table = estimable(records, params["published"], read_contrasts(params["contrasts"]), claims, design=design)
    write_table(table, snakemake.output.design, "design")
    write_table(cohort(records), snakemake.output.cohort, "design_cohort")
