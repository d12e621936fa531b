"""Verdicts on the claims."""

from brainmet.bulk import tissues
from brainmet.claims import claims
from brainmet.claims.entries import load
from brainmet.claims.inputs import reader
from brainmet.compare.donor_scores import Scoring
from brainmet.compare.estimators import Design
from brainmet.core.counts import open_counts
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    entries = load([files.claims, *files.claim_files])
    cohorts = tissues(map(open_counts, files.tissues), params["bulk_records"], scoring=Scoring(**params["scoring"]))
    design = Design(**params["design"])
    table = claims(entries, reader(files, params), design=design, bound=params["bound"], tissues=cohorts)
    write_table(table, snakemake.output.table, "claims")
