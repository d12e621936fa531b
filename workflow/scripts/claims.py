"""Verdicts on the claims."""

from brainmet.bulk import Tissue
from brainmet.claims import claims, load
from brainmet.counts import open_counts
from brainmet.donor_scores import Scoring
from brainmet.estimators import Design
from brainmet.job import job
from brainmet.stage_inputs import reader
from brainmet.tables import write_table

with job(snakemake) as params:
    files = snakemake.input
    entries = load([files.claims, *files.own])
    tissues = [Tissue(open_counts(path), how=Scoring(**params["how"])) for path in files.tissues]
    design = Design(**params["design"])
    table = claims(entries, reader(files, params), design=design, bound=params["bound"], tissues=tissues)
    write_table(table, snakemake.output.table, "claims")
