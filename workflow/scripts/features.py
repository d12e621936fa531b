"""Variable genes of the cohort."""

from brainmet.core.lazy import Lazy
from brainmet.core.tables import write_table
from brainmet.features import Selection, features, read_moments
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    datasets, moments = params.pop("datasets"), Lazy(snakemake.input.moments, read_moments)
    table = features(moments, Selection(**params), datasets=datasets, markers=types.markers())
    write_table(table, snakemake.output.features, "features")
