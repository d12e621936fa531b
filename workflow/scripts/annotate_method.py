"""What one annotation method of scope cohort says."""

from brainmet import annotate
from brainmet.annotate.inputs import read_input
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    inputs = {name: read_input(name, snakemake.input[name]) for name in params["requires"]}
    table = annotate.run(snakemake.wildcards.method, inputs, **params["options"])
    write_table(table, snakemake.output[0], "evidence")
