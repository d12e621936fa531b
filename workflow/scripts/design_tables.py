"""What the dataset files of the run allow."""

from brainmet.claims import load
from brainmet.design import cohort, estimable
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.tables import write_table

with job(snakemake) as params:
    claims = load([snakemake.input.claims, *snakemake.input.own])
    asked = params["records"], params["published"], params["contrasts"], claims
    write_table(estimable(*asked, design=Design(**params["design"])), snakemake.output.design, "design")
    write_table(cohort(params["records"]), snakemake.output.cohort, "design_cohort")
