"""Signatures in bulk cohorts."""

from brainmet.bulk import bulk
from brainmet.compare.donor_scores import Scoring
from brainmet.compare.inputs import sets, words
from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    samples, signatures = [open_counts(path) for path in files.counts], sets(files, tier=params["tier"])
    markers = read_table(files.markers[0], "markers") if files.markers else None
    how = {"how": Scoring(**params["how"]), "markers": markers, "words": words(files)}
    write_table(bulk(samples, signatures, params["contrasts"], **how), snakemake.output.table, "bulk")
