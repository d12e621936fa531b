"""Figures for a paper."""

from brainmet.core.tables import read_table
from brainmet.report import load, static
from brainmet.run.job import job

with job(snakemake):
    files = snakemake.input
    annotation = read_table(files.annotation, "annotation")
    layout = read_table(files.embedding, "embedding", ["umap_1", "umap_2"]).loc[annotation.index]
    table = read_table(files.samples, "samples").sort_values(["condition", "study", "sample"], kind="stable")
    scores, cells, samples = load.scores(files.scores), load.metrics(files.cells), list(table["sample"])
    simulated = bool(table["simulated"].any())
    for name, drawing in static.drawings(annotation, layout, scores, cells, samples).items():
        static.save(snakemake.output[name], drawing.draw, size=drawing.size, simulated=simulated)
