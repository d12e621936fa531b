"""Methods of annotation compared on the labelled cells of the run."""

from brainmet.annotate.inputs import read_input
from brainmet.concordance.benchmark import annotation_benchmark
from brainmet.core.tables import read_table, write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    types = load_cell_types(files.types)
    pairs = zip(files.counts, files.cells, strict=True)
    samples = [(read_input("counts", counts), read_input("cells", cells)) for counts, cells in pairs]
    names = ("cells", "slices", "features", "neighbors", "clusters")
    cohort = {name: read_input(name, files[name]) for name in names}
    annotation = read_table(files.annotation, "annotation")
    table = annotation_benchmark(samples, cohort, annotation, types=types, **params)
    write_table(table, snakemake.output[0], "annotation_benchmark")
