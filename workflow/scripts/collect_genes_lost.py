"""The genes lost by all samples in one table."""

import pandas as pd
from brainmet.cell_types import load_cell_types
from brainmet.counts import open_counts
from brainmet.gene_loss import affected
from brainmet.job import job
from brainmet.stage_inputs import sets
from brainmet.tables import read_table, write_table

with job(snakemake) as params:
    rows = pd.concat([read_table(path, "genes_lost") for path in snakemake.input.samples], ignore_index=True)
    signatures = {s.id: (*s.up, *s.down) for s in sets(snakemake.input, tier=params["tier"])}
    types = {id_: entry.positive for id_, entry in load_cell_types(snakemake.input.types).entries.items()}
    measured = (set(open_counts(path).genes["symbol"]) for path in snakemake.input.counts)  # of one sample at a time
    found = [(affected(genes, signatures), affected(genes, types)) for genes in measured]
    rows[["signatures_affected", "types_affected"]] = pd.DataFrame(found, index=rows.index, dtype=object)
    write_table(rows, snakemake.output[0], "genes_lost")
