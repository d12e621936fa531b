"""Table and page of the shipped dataset files."""

from pathlib import Path

from brainmet.core.files import replacing
from brainmet.core.tables import write_table
from brainmet.datasets.catalogue import catalogue, page
from brainmet.ingest import layouts
from brainmet.run.job import job

with job(snakemake):
    table = catalogue([Path(file) for file in snakemake.input.datasets], layouts=layouts())
    write_table(table, snakemake.output.table, "catalogue")
    with replacing(snakemake.output.page) as partial:
        partial.write_text(page(table))
