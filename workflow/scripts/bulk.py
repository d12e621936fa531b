"""Signatures in bulk cohorts."""

from brainmet.bulk import bulk
from brainmet.counts import open_counts
from brainmet.donor_scores import Scoring
from brainmet.job import job
from brainmet.stage_inputs import sets
from brainmet.tables import write_table

with job(snakemake) as params:
    cohorts = [open_counts(path) for path in snakemake.input.counts]
    signatures = sets(snakemake.input, tier=params["tier"])
    table = bulk(cohorts, signatures, params["contrasts"], how=Scoring(**params["how"]))
    write_table(table, snakemake.output.table, "bulk")
