"""One sample from its files into the contract's shape."""

from pathlib import Path

from brainmet.core.tables import write_table
from brainmet.fetch.checksums import verify
from brainmet.ingest import ingest
from brainmet.ingest.species import Tolerance
from brainmet.knowledge.genes import read_genes
from brainmet.provenance import inputs
from brainmet.run.job import job

with job(snakemake) as params:
    files = dict(zip(snakemake.input.files, params["record"]["files"], strict=True))
    checksums = {path: verify(file, Path(path), stamps=Path(".cache/checksums")) for path, file in files.items()}
    human = read_genes(snakemake.input.human)
    mouse = read_genes(snakemake.input.mouse) if "mouse" in params["record"]["organism"] else None
    sample = ingest(snakemake.input.files, human, mouse, record=params.pop("record"), limits=Tolerance(**params))
    sample.write(snakemake.output.counts, snakemake.output.genes_lost)
    write_table(inputs(checksums), snakemake.output.inputs, "inputs")
