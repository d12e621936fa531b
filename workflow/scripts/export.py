"""The atlas."""

import pandas as pd
from brainmet.counts import open_counts
from brainmet.export import coordinates, description, export, observations
from brainmet.job import job
from brainmet.tables import read_table

with job(snakemake) as params:
    files, records = snakemake.input, params.pop("samples")
    cells = pd.concat([read_table(path, "cells").query("keep") for path in files.cells]).drop(
        columns=["keep", "reason"]
    )
    annotation, clusters = read_table(files.annotation, "annotation"), read_table(files.clusters, "clusters")
    obs = observations({"annotation": annotation, "clusters": clusters, "cells": cells}, records)
    scores = pd.concat([read_table(path, "scores") for path in files.scores])
    obsm, names = coordinates(read_table(files.embedding, "embedding"), scores, annotation.index)
    features, uns = read_table(files.features, "features"), description(records) | {"scores": names}
    counts = [open_counts(path) for path in files.counts]
    tables = {"obs": obs, "obsm": obsm, "features": features, "uns": uns}
    export(snakemake.output.atlas, counts, **tables, threads=snakemake.threads, **params)
