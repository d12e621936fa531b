"""Recurrent programmes of malignant cells."""

import pandas as pd
from brainmet import programmes, slice
from brainmet.core.tables import read_table, write_table
from brainmet.knowledge.signatures import configured
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    signatures = configured(files.signatures, files.files, files.confounders, tier=params.pop("tier"), confounders=True)
    depth = pd.concat([read_table(path, "cells", columns=["total_counts"])["total_counts"] for path in files.cells])
    cells = programmes.gather(slice.read_slices(files.slices), read_table(files.annotation, "annotation"), depth)
    symbols = read_table(files.features, "features").query("highly_variable")["symbol"].tolist()
    found, pairs = programmes.programmes(cells, symbols, signatures, settings=programmes.Settings(**params))
    write_table(found, snakemake.output.programmes, "programmes")
    write_table(pairs, snakemake.output.pairs, "programme_pairs")
