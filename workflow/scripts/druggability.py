"""Drug targets by donor and compartment."""

from brainmet import druggability
from brainmet.core.tables import write_table
from brainmet.knowledge.cell_types import compartment_words
from brainmet.pseudobulk import read
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    drugs, compartments = druggability.load(files.drugs), compartment_words(files.compartments, files.types)
    table = druggability.expression(read(files.pseudobulk), drugs, compartments, **params)
    write_table(table, snakemake.output.table, "druggability")
    write_table(druggability.described(drugs), snakemake.output.drugs, "drugs")
