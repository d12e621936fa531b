"""Pseudobulk as text."""

import anndata
from brainmet.extract import write_pseudobulk
from brainmet.job import job

with job(snakemake):
    write_pseudobulk(anndata.read_h5ad(snakemake.input.bulk), snakemake.output.table)
