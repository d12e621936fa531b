"""The signatures of the run as a .gmt file."""

from brainmet.files import replacing
from brainmet.job import job
from brainmet.signatures import configured, gmt

with job(snakemake) as params, replacing(snakemake.output.gmt) as partial:
    files = snakemake.input
    partial.write_text(gmt(configured(files.signatures, files.files, files.confounders, **params)))
