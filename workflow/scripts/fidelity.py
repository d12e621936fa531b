"""Preclinical models beside patients."""

from brainmet.core.tables import write_table
from brainmet.knowledge.signatures import configured
from brainmet.models import fidelity
from brainmet.pseudobulk import read
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    signatures = configured(
        files.signatures, files.files, files.confounders, tier=params.pop("tier"), confounders=False
    )
    write_table(fidelity(read(files.pseudobulk), signatures, **params), snakemake.output.table, "fidelity")
