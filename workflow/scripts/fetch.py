"""One raw file of a dataset."""

from pathlib import Path

from brainmet.fetch import fetch
from brainmet.fetch.archive import Archive, Patience
from brainmet.run.job import job

with job(snakemake) as params:
    how = snakemake.resources
    fetch(
        params["source"],
        Path(snakemake.output[0]),
        Archive(mirror=how.mirror, offline=bool(how.offline)),
        Patience(attempts=how.attempts, backoff_seconds=how.backoff_seconds, stall_seconds=how.stall_seconds),
        missing=how.missing,
    )
