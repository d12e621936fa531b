"""One identity per cell from the evidence of all methods."""

from brainmet.annotate.consensus import Settings, consensus
from brainmet.annotate.consensus.overrides import read_overrides
from brainmet.annotate.inputs import kept, read_input
from brainmet.core.tables import read_table, write_table
from brainmet.duplicates import cohort_only
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    types = load_cell_types(files.types)
    # Copy number by arm is for the table of arms: at a million cells it would be a third of the memory here.
    arms = "(arm|shift|fdr|genes)_"
    shown = {name: read_input(name, files[name], without=arms) for name in params["methods"]}
    table = consensus(
        kept(read_input("cells", files.cells)),
        read_input("clusters", files.clusters),
        read_input("neighbors", files.neighbors),
        shown,
        types=types,
        how=Settings(**params["options"]),
        sites=params["sites"],
        overrides=read_overrides(files.get("overrides"), types),
    )
    table = cohort_only(table, read_table(files.duplicates, "duplicates"))
    write_table(table, snakemake.output.annotation, "annotation")
