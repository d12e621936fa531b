"""Gene-set enrichment."""

from brainmet.job import job
from brainmet.sets import sets
from brainmet.stage_inputs import sets as gene_sets
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    signatures = gene_sets(snakemake.input, tier=params.pop("tier"))
    write_table(sets(read_table(snakemake.input.de, "de"), signatures, **params), snakemake.output.table, "gsea")
