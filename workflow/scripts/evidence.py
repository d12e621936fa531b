"""What every annotation method of scope sample says of one sample, and which types quality control dropped."""

from brainmet import annotate
from brainmet.annotate.inputs import read_input
from brainmet.core.tables import write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.qc.dropped import dropped
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    inputs = {name: read_input(name, snakemake.input[name]) for name in ("counts", "cells")}
    for name, table in annotate.run_all(params["methods"], inputs, types=types, options=params["options"]).items():
        write_table(table, snakemake.output[name], "evidence")
    write_table(dropped(**inputs, types=types, **params["look"]), snakemake.output.dropped, "dropped")
