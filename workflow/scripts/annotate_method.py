"""What one annotation method of scope cohort says."""

from brainmet import annotate, evidence
from brainmet.cell_types import load_cell_types
from brainmet.job import job
from brainmet.tables import write_table

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    inputs = {name: evidence.read(name, snakemake.input[name]) for name in params["requires"]}
    table = annotate.run(snakemake.wildcards.method, inputs, types=types, **params["options"])
    write_table(table, snakemake.output[0], "evidence")
