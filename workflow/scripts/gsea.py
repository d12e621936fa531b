"""Gene-set enrichment: of the differential expression, and in each donor."""

from brainmet.compare.gsea import per_donor, sets
from brainmet.compare.inputs import cohort
from brainmet.compare.inputs import sets as gene_sets
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job

with job(snakemake) as params:
    signatures = gene_sets(snakemake.input, tier=params.pop("tier"))
    donors, compartments = cohort(snakemake.input, [], min_cells=params.pop("min_cells")), params.pop("compartments")
    limits = {name: params[name] for name in ("min_size", "max_size", "seed")}
    write_table(sets(read_table(snakemake.input.de, "de"), signatures, **params), snakemake.output.table, "gsea")
    write_table(
        per_donor(donors, signatures, compartments=compartments, **limits), snakemake.output.donors, "donor_sets"
    )
