"""Table and page of the shipped dataset files."""

from pathlib import Path

from brainmet.catalogue import catalogue, page
from brainmet.files import replacing
from brainmet.ingest import layouts
from brainmet.job import job
from brainmet.tables import write_table

with job(snakemake):
    table = catalogue([Path(file) for file in snakemake.input.datasets], layouts=layouts())
    write_table(table, snakemake.output.table, "catalogue")
    with replacing(snakemake.output.page) as partial:
        partial.write_text(page(table))
