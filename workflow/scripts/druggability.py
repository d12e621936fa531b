"""Drug targets by donor and compartment."""

from pathlib import Path

import yaml
from anndata import read_h5ad
from brainmet import druggability
from brainmet.job import job
from brainmet.tables import write_table

with job(snakemake) as params:
    compartments = yaml.safe_load(Path(snakemake.input.compartments).read_text())
    drugs = druggability.load(snakemake.input.drugs)
    table = druggability.expression(read_h5ad(snakemake.input.pseudobulk), drugs, compartments, **params)
    write_table(table, snakemake.output.table, "druggability")
    write_table(druggability.described(drugs), snakemake.output.drugs, "drugs")
