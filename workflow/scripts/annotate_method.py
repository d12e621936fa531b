"""What one annotation method of scope cohort says."""

from brainmet import annotate
from brainmet.annotate.inputs import read_input
from brainmet.core.tables import write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    inputs = {name: read_input(name, snakemake.input[name]) for name in params["requires"]}
    table = annotate.run(snakemake.wildcards.method, inputs, types=types, **params["options"])
    write_table(table, snakemake.output[0], "evidence")
