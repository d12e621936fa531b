"""The page."""

from pathlib import Path

from brainmet import report
from brainmet.core.files import replacing
from brainmet.report import load
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    settings = report.Settings(**params["settings"], warn_lost=params["warn_lost"])
    run = load.run(files, datasets=params["datasets"], benchmarks=params["benchmarks"], settings=settings)
    html = report.page(run, load.parts(files), settings)
    with replacing(snakemake.output.page) as partial:
        Path(partial).write_text(html)
