"""Pseudobulk as text."""

import anndata
from brainmet.extract import pseudobulk_text
from brainmet.files import replacing
from brainmet.job import job

with job(snakemake), replacing(snakemake.output.table) as partial:
    table = pseudobulk_text(anndata.read_h5ad(snakemake.input.bulk))
    pack = {"method": "gzip", "mtime": 0}
    table.to_csv(partial, sep="\t", index=False, na_rep="NA", float_format="%.6g", compression=pack)
