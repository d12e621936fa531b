"""One raw file of a dataset."""

from pathlib import Path

from brainmet.fetch import fetch
from brainmet.run.job import job

MANNER = ("mirror", "attempts", "backoff_seconds", "stall_seconds", "missing")

with job(snakemake) as params:
    manner = {name: getattr(snakemake.resources, name) for name in MANNER}
    fetch(params["source"], Path(snakemake.output[0]), offline=bool(snakemake.resources.offline), **manner)
