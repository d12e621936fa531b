"""The page."""

from pathlib import Path

from brainmet import report
from brainmet.files import replacing
from brainmet.job import job
from brainmet.report import load

with job(snakemake) as params:
    files = snakemake.input
    run = load.run(files, **{name: params[name] for name in ("datasets", "benchmarks", "settings")})
    html = report.page(run, load.parts(files), warn_lost=params["warn_lost"], **params["settings"])
    with replacing(snakemake.output.page) as partial:
        Path(partial).write_text(html)
