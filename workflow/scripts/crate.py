"""The results as an RO-Crate."""

import json
from datetime import date
from pathlib import Path

from brainmet.core.files import replacing
from brainmet.core.tables import read_table
from brainmet.provenance import crate
from brainmet.run.job import job

with job(snakemake) as params, replacing(snakemake.output[0]) as partial:
    files, root = snakemake.input, Path(snakemake.output[0]).parent
    parts = {"run": json.loads(Path(files.run).read_text()), "inputs": read_table(files.inputs, "inputs")}
    document = crate.describe(root, [Path(path) for path in files.results], day=date.today(), **parts, **params)
    partial.write_text(crate.text(document))
