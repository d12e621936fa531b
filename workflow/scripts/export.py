"""The atlas."""

import pandas as pd
from brainmet.counts import open_counts
from brainmet.export import coordinates, description, export, in_cohort, observations
from brainmet.job import job
from brainmet.tables import names_in, read_table

with job(snakemake) as params:
    files, records = snakemake.input, params.pop("samples")
    cells = pd.concat(
        [read_table(path, "cells").query("keep").drop(columns=["keep", "reason"]) for path in files.cells]
    )
    tables = {name: read_table(files[name], name) for name in ("annotation", "clusters")} | {"cells": cells}
    obs = observations({name: in_cohort(table, tables["annotation"].index) for name, table in tables.items()}, records)
    del tables, cells
    obsm = coordinates(files.embedding, files.malignant, files.scores, obs.index)
    uns = description(records) | {"scores": names_in(files.scores[0])[1:]}
    counts, features = [open_counts(path) for path in files.counts], read_table(files.features, "features")
    told = {"obs": obs, "obsm": obsm, "features": features, "uns": uns}
    export(snakemake.output.atlas, counts, **told, threads=snakemake.threads, **params)
