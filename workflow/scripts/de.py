"""Differential expression."""

from brainmet.compare.contrast import read_contrasts
from brainmet.compare.de import expression
from brainmet.compare.estimators import Design
from brainmet.compare.inputs import clean, cohort
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    donors = cohort(snakemake.input, [], min_cells=params["min_cells"])
    table = expression(
        donors,
        read_contrasts(params["contrasts"]),
        design=Design(**params["design"]),
        compartments=params["compartments"],
        min_counts=params["min_counts"],
        min_gene_counts=params["min_gene_counts"],
        clean=clean(donors, params["ambient"]),
    )
    write_table(table, snakemake.output.table, "de")
