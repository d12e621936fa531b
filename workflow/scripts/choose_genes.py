"""Which genes are kept cell by cell."""

import pandas as pd
from brainmet.core.documents import read_yaml
from brainmet.core.tables import write_table
from brainmet.genes_of_interest import check_symbols, chosen
from brainmet.run.job import job

with job(snakemake) as params:
    files, own = snakemake.input, params.pop("own")
    check_symbols(own, pd.read_csv(files.genes, sep="\t", comment="#", usecols=["symbol"], dtype=str)["symbol"])
    claims = [entry for path in files.claims for entry in read_yaml(path)["claims"]]
    types = [entry for path in files.types for entry in read_yaml(path)["cell_types"]]
    table = chosen(own, read_yaml(files.drugs)["entries"], claims, types, **params)
    write_table(table, snakemake.output.genes, "genes_of_interest")
