"""A dataset file to begin with, and what to do with it."""

import shlex
import sys
from pathlib import Path

from brainmet.datasets.draft import draft
from brainmet.fetch.archive import Archive
from brainmet.knowledge.genes import read_genes
from brainmet.run.job import job

with job(snakemake) as params:
    archive = Archive(mirror=params["mirror"] or "", offline=params["offline"])
    path = draft(params["source"], Path("datasets"), read_genes(snakemake.input.human), archive)
    sys.stdout.write(
        f"{path.absolute()}: set donor and condition of its samples, then ask what they can answer with\n"
        f"uv run snakemake design -d {shlex.quote(str(Path.cwd()))} --cores 1 "
        f"--config 'datasets=[\"{path.stem}\"]' 'dataset_paths=[datasets]'\n"
    )
