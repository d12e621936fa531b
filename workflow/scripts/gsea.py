"""Gene-set enrichment: of the differential expression, and in each donor."""

from brainmet.job import job
from brainmet.sets import per_donor, sets
from brainmet.stage_inputs import cohort
from brainmet.stage_inputs import sets as gene_sets
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    signatures = gene_sets(snakemake.input, tier=params.pop("tier"))
    donors, compartments = cohort(snakemake.input, [], min_cells=params.pop("min_cells")), params.pop("compartments")
    limits = {name: params[name] for name in ("min_size", "max_size", "seed")}
    write_table(sets(read_table(snakemake.input.de, "de"), signatures, **params), snakemake.output.table, "gsea")
    write_table(
        per_donor(donors, signatures, compartments=compartments, **limits), snakemake.output.donors, "donor_sets"
    )
