"""The genes lost by all samples in one table."""

import pandas as pd
from brainmet.compare.inputs import sets
from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table, write_table
from brainmet.ingest.gene_loss import with_affected
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    lost = pd.concat([read_table(path, "genes_lost") for path in files.samples], ignore_index=True)
    signatures = {s.id: (*s.up, *s.down) for s in sets(files, tier=params["tier"])}
    types = {id_: entry.positive for id_, entry in load_cell_types(files.types).entries.items()}
    measured = (set(open_counts(path).genes["symbol"]) for path in files.counts)  # of one sample at a time
    table = with_affected(lost, measured, signatures=signatures, types=types)
    write_table(table, snakemake.output[0], "genes_lost")
