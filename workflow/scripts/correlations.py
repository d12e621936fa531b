"""Correlations between the cells of a donor, for the claims on them."""

import pandas as pd
from brainmet import slice
from brainmet.claims.correlations import correlations
from brainmet.claims.entries import load
from brainmet.claims.inputs import every_set, typed_cells, types_of
from brainmet.core.tables import read_table, write_table
from brainmet.features import informative
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    entries = load([files.claims, *files.claim_files])
    annotation = typed_cells(files.annotation, params.pop("samples"))
    depth = pd.concat([read_table(path, "cells", columns=["total_counts"])["total_counts"] for path in files.cells])
    features = read_table(files.features, "features").set_index("ensembl_id", drop=False)
    symbols = features.loc[informative(features)[0], "symbol"].tolist()
    cells = types_of(files, entries, annotation["cell_type"].unique())
    sets = {s.id: s for s in every_set(files)}
    table = correlations(
        slice.read_slices(files.slices, informative=True), annotation, depth, symbols, entries, sets, cells, **params
    )
    write_table(table, snakemake.output.table, "correlations")
