"""Samples that the dataset files of a run do not list, printed as lines to add."""

import sys
from pathlib import Path

from brainmet.datasets.discover import discover
from brainmet.knowledge.genes import read_genes
from brainmet.run.job import job

with job(snakemake) as params:
    paths = iter(snakemake.input.files)
    for dataset in params["datasets"].values():
        genes = read_genes(snakemake.input["mouse" if dataset.get("organism") == "mouse" else "human"])
        sys.stdout.write(discover(dataset, [Path(next(paths)) for _ in dataset["files"]], genes))
