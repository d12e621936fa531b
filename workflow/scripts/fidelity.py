"""Preclinical models beside patients."""

from anndata import read_h5ad
from brainmet.job import job
from brainmet.models import fidelity
from brainmet.signatures import configured
from brainmet.tables import write_table

with job(snakemake) as params:
    files = snakemake.input
    signatures = configured(
        files.signatures, files.files, files.confounders, tier=params.pop("tier"), confounders=False
    )
    write_table(fidelity(read_h5ad(files.pseudobulk), signatures, **params), snakemake.output.table, "fidelity")
