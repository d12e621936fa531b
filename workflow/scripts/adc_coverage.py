"""Antigens of malignant cells by donor."""

import pandas as pd
from brainmet import druggability
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job

with job(snakemake) as params:
    genes = druggability.load(snakemake.input.drugs).antigens()
    cells = pd.concat([read_table(path, "gene_values", ["total_counts", *genes]) for path in snakemake.input.genes])
    coverage, single = druggability.coverage(
        druggability.shown(cells), read_table(snakemake.input.annotation, "annotation"), genes, **params
    )
    write_table(coverage, snakemake.output.coverage, "adc_coverage")
    write_table(single, snakemake.output.antigens, "adc_antigens")
