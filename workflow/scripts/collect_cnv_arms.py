"""Copy number by chromosome arm of every sample's groups of cells, and each donor's tumour as segments."""

from brainmet.annotate.inputs import read_input
from brainmet.copy_number.arms import cnv_arms, write_segments
from brainmet.core import tables
from brainmet.run.job import job

with job(snakemake) as params:
    annotation = tables.read_table(snakemake.input.annotation, "annotation")
    files = snakemake.input.evidence
    table = cnv_arms(annotation, read_input("copy_number", files), **params) if files else tables.empty("cnv_arms")
    tables.write_table(table, snakemake.output.arms, "cnv_arms")
    write_segments(table, snakemake.output.segments)
