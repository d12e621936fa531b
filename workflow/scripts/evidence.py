"""What every annotation method of scope sample says of one sample, and which types quality control dropped."""

from brainmet import annotate
from brainmet.annotate.inputs import read_input
from brainmet.core.tables import write_table
from brainmet.qc.dropped import dropped
from brainmet.run.job import job

with job(snakemake) as params:
    inputs = {name: read_input(name, snakemake.input[name]) for name in ("counts", "cells", "types")}
    for name, table in annotate.run_all(params["methods"], inputs, options=params["options"]).items():
        write_table(table, snakemake.output[name], "evidence")
    write_table(dropped(**inputs, **params["look"]), snakemake.output.dropped, "dropped")
