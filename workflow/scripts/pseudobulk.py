"""Pseudobulk of one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table
from brainmet.pseudobulk import pseudobulk, write
from brainmet.run.job import job

with job(snakemake) as params:
    columns = ["sample", "donor", "condition", "cell_type"]
    own = read_table(snakemake.input.annotation, "annotation", columns, sample=snakemake.wildcards.sample)
    write(pseudobulk(open_counts(snakemake.input.counts), own, **params), snakemake.output.pseudobulk)
