"""How well the simulated truth was recovered."""

import pandas as pd
from brainmet import recovery
from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    obs = {sample: open_counts(path).cells for sample, path in zip(params["samples"], files.truth, strict=True)}
    cells = pd.concat([read_table(path, "cells") for path in files.cells])
    tables = {name: read_table(files[name], name) for name in ("contrasts", "claims")}
    table = recovery.recovery(
        recovery.truth_of_cells(obs),
        cells,
        read_table(files.annotation, "annotation"),
        arms=read_table(files.arms, "cnv_arms"),
        true_arms=read_table(files.true_arms, "truth_arms"),
        shifts=read_table(files.shifts, "truth_shifts"),
        coarse=load_cell_types([files.markers]).coarse,
        alpha=params["alpha"],
        **tables,
    )
    write_table(table, snakemake.output[0], "recovery")
