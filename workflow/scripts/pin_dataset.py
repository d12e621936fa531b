"""The entries of dataset files with checksums."""

import sys
from pathlib import Path

from brainmet.fetch.checksums import pinned
from brainmet.run.job import job

with job(snakemake) as params:
    for dataset, files in params["files"].items():
        sys.stdout.write(pinned(dataset, files, Path("downloads") / dataset) if files else "")
