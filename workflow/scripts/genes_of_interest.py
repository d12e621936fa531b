"""Values of the genes of interest in one sample."""

from brainmet.counts import open_counts
from brainmet.genes_of_interest import genes_of_interest
from brainmet.job import job
from brainmet.tables import read_table, write_table

with job(snakemake):
    keep = read_table(snakemake.input.cells, "cells")["keep"].to_numpy()
    genes = list(read_table(snakemake.input.genes, "genes_of_interest")["symbol"])
    values = genes_of_interest(open_counts(snakemake.input.counts), keep, genes)
    write_table(values, snakemake.output.values, "gene_values")
