"""Copy number by chromosome arm of every sample's groups of cells, and each donor's tumour as segments."""

import re
from pathlib import Path

from brainmet import evidence, tables
from brainmet.cnv_arms import cnv_arms, segments
from brainmet.job import job

with job(snakemake) as params:
    annotation = tables.read_table(snakemake.input.annotation, "annotation")
    files = snakemake.input.evidence
    table = cnv_arms(annotation, evidence.read("copy_number", files), **params) if files else tables.empty("cnv_arms")
    tables.write_table(table, snakemake.output.arms, "cnv_arms")
    folder = Path(snakemake.output.segments)
    folder.mkdir(parents=True, exist_ok=True)
    for donor, found in segments(table):
        name = re.sub(r"[^A-Za-z0-9._-]", "_", donor)
        found.to_csv(folder / f"{name}.seg", sep="\t", index=False, float_format="%.6g")
