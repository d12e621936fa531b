"""The rank cut-off of AUCell for the whole cohort."""

import pandas as pd
from brainmet.core.tables import read_table, write_table
from brainmet.run.job import job
from brainmet.score import cutoff

with job(snakemake) as params:
    cells = pd.concat(
        [read_table(path, "cells", columns=["n_genes_by_counts", "keep"]) for path in snakemake.input.cells]
    )
    n_genes = [len(read_table(path, "moments", columns=["ensembl_id"])) for path in snakemake.input.moments]
    detected = cells.loc[cells["keep"], "n_genes_by_counts"].to_numpy()
    write_table(cutoff(detected, n_genes, **params), snakemake.output.cutoff, "aucell_cutoff")
