"""What went in, and what it was done with."""

import json
from pathlib import Path

from brainmet import contract, provenance
from brainmet.core.files import replacing
from brainmet.core.tables import read_table, write_table
from brainmet.fetch.checksums import sha256
from brainmet.run.job import job

with job(snakemake) as params:
    keys = [{"key": k.name, "slot": k.slot, "type": k.dtype, "meaning": k.meaning} for k in contract.COUNTS_KEYS]
    names = params.pop("knowledge")
    knowledge = {name: sha256(Path(path)) for name, path in zip(names, snakemake.input.knowledge, strict=True)}
    run = provenance.run(**params, knowledge=knowledge)
    documents = {"contract": {"contract_version": contract.VERSION, "counts": keys}, "run": run}
    for name, document in documents.items():
        with replacing(snakemake.output[name]) as partial:
            Path(partial).write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    parts = [read_table(path, "inputs") for path in snakemake.input.inputs]
    write_table(provenance.collect(parts), snakemake.output.inputs, "inputs")
