"""One identity a cell from the evidence of all methods."""

from brainmet.annotate import _inputs as evidence
from brainmet.annotate.consensus import Settings, consensus
from brainmet.annotate.consensus.overrides import read_overrides
from brainmet.core.tables import read_table, write_table
from brainmet.duplicates import cohort_only
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    types = load_cell_types(files.types)
    # Copy number by arm is for the table of arms: at a million cells it would be a third of the memory here.
    shown = {
        name: evidence.read(name, files[name], without="(arm|shift|fdr|genes|marker)_") for name in params["methods"]
    }
    cells, clusters, neighbors = (evidence.read(name, files[name]) for name in ("cells", "clusters", "neighbors"))
    table = consensus(
        evidence.kept(cells),
        clusters,
        neighbors,
        shown,
        types=types,
        how=Settings(**params["options"]),
        sites=params["sites"],
        overrides=read_overrides(files.get("overrides"), types),
    )
    table = cohort_only(table, read_table(files.duplicates, "duplicates"))
    write_table(table, snakemake.output.annotation, "annotation")
