"""Differential expression."""

from brainmet.estimators import Design
from brainmet.expression import expression
from brainmet.job import job
from brainmet.stage_inputs import clean, cohort
from brainmet.tables import write_table

with job(snakemake) as params:
    donors = cohort(snakemake.input, [], min_cells=params["min_cells"])
    table = expression(
        donors,
        params["contrasts"],
        design=Design(**params["design"]),
        compartments=params["compartments"],
        min_counts=params["min_counts"],
        min_gene_counts=params["min_gene_counts"],
        clean=clean(donors, params["ambient"]),
    )
    write_table(table, snakemake.output.table, "de")
