"""The atlas."""

import pandas as pd
from brainmet.ambient_correction import shares
from brainmet.contract import Obs
from brainmet.counts import open_counts
from brainmet.evidence import read
from brainmet.export import coordinates, description, export, in_cohort, observations
from brainmet.job import job
from brainmet.tables import names_in, read_table

with job(snakemake) as params:
    files, records = snakemake.input, params.pop("samples")
    cells = pd.concat(read_table(path, "cells").query("keep") for path in files.cells).drop(columns=["keep", "reason"])
    tables = {name: read_table(files[name], name) for name in ("annotation", "clusters")} | {"cells": cells}
    obs = observations({name: in_cohort(table, tables["annotation"].index) for name, table in tables.items()}, records)
    del tables, cells
    obsm = coordinates(files.embedding, files.malignant, files.scores, obs.index)
    uns = description(records) | {"scores": names_in(files.scores[0])[1:]}
    told = {"obs": obs, "obsm": obsm, "features": read_table(files.features, "features"), "uns": uns}
    if params.pop("ambient_corrected"):
        told["ambient_shares"] = shares(read("ambient", files.ambient), obs[Obs.SAMPLE].astype(str))
    counts = [open_counts(path) for path in files.counts]
    export(snakemake.output.atlas, counts, **told, threads=snakemake.threads, **params)
