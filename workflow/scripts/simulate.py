"""The simulated cohort and its truth."""

from pathlib import Path

import pandas as pd
import yaml
from brainmet import simulate
from brainmet.core.counts import write_counts
from brainmet.core.tables import write_table
from brainmet.run.job import job

with job(snakemake) as params:
    samples, files = params.pop("samples"), snakemake.input
    genes = pd.read_csv(files.profiles, sep="\t", keep_default_na=False)
    types = pd.read_csv(files.types, sep="\t")
    design = yaml.safe_load(Path(files.design).read_text())
    sets = [entry for path in files.signatures for entry in yaml.safe_load(Path(path).read_text())["signatures"]]
    known, settings = simulate.knowledge(genes, types, design, sets), simulate.Settings(**params)
    for path, sample in simulate.of_files(snakemake.output.counts, samples):
        counts, cells = simulate.simulate(sample, known, settings)
        write_counts(path, counts, cells, known.genes[["symbol"]], {"simulated": True})
    write_table(simulate.truth_shifts(known, settings), snakemake.output.shifts, "truth_shifts")
    write_table(simulate.truth_arms(samples, known, settings), snakemake.output.arms, "truth_arms")
