"""ULM scores and genes of interest of one sample."""

from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.genes_of_interest import genes_of_interest
from brainmet.knowledge.signatures import configured
from brainmet.run.job import job
from brainmet.score import score

with job(snakemake) as params:
    files = snakemake.input
    choice = {name: params.pop(name) for name in ("tier", "confounders")}
    signatures = configured(files.signatures, files.files, files.confounders, **choice)
    counts, cells = open_counts(files.counts), read_table(files.cells, "cells", columns=["sample", "keep"])
    scores, coverage = score(counts, cells, signatures, **params)
    write_table(scores, snakemake.output.scores, "scores")
    write_table(coverage, snakemake.output.coverage, "coverage")
    genes = list(read_table(files.genes, "genes_of_interest")["symbol"])
    write_table(genes_of_interest(counts, counts.kept(cells), genes), snakemake.output.gene_values, "gene_values")
