"""Figures for a paper."""

from brainmet.job import job
from brainmet.report import load, static
from brainmet.report.comparison import donor_means
from brainmet.report.palette import DROPPED
from brainmet.tables import read_table

with job(snakemake):
    files, out = snakemake.input, snakemake.output
    annotation = read_table(files.annotation, "annotation")
    layout = read_table(files.embedding, "embedding", ["umap_1", "umap_2"]).loc[annotation.index]
    table = read_table(files.samples, "samples").sort_values(["condition", "study", "sample"], kind="stable")
    samples, simulated = list(table["sample"]), bool(table["simulated"].any())
    means = donor_means(load.scores(files.scores), annotation)
    for key in ("cell_type", "sample", "condition", "malignancy"):
        values = annotation[key]
        size = static.map_wide(values), 5
        static.save(out[key], static.umap(layout, values), size=size, simulated=simulated)
    composed, fate = static.composition(annotation, samples), static.fate(load.metrics(files.cells), samples)
    types = annotation["cell_type"].nunique()
    static.save(out.composition, composed, size=(7, static.bars_high(len(samples), types)), simulated=simulated)
    static.save(out.qc, fate, size=(7, static.bars_high(len(samples), len(DROPPED))), simulated=simulated)
    static.save(out.signatures, static.signatures(means), size=(9, 9), simulated=simulated)
