"""Signatures in bulk cohorts."""

from brainmet.bulk import bulk
from brainmet.compare.contrast import read_contrasts
from brainmet.compare.donor_scores import Scoring
from brainmet.compare.inputs import sets
from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    samples, signatures = [open_counts(path) for path in files.counts], sets(files, tier=params["tier"])
    markers = read_table(files.markers[0], "markers") if files.markers else None
    table = bulk(
        samples,
        signatures,
        read_contrasts(params["contrasts"]),
        records=params["records"],
        scoring=Scoring(**params["scoring"]),
        types=load_cell_types(files.types),
        markers=markers,
    )
    write_table(table, snakemake.output.table, "bulk")
