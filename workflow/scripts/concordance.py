"""Agreement of the annotation with the authors' labels."""

from brainmet.concordance import author_labels, calibration, concordance, confusion
from brainmet.core.tables import read_table, write_table
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.run.job import job

with job(snakemake) as params:
    types = load_cell_types(snakemake.input.types)
    annotation = read_table(snakemake.input.annotation, "annotation")
    table = concordance(annotation, types=types, n_bootstrap=params["n_bootstrap"], seed=params["seed"])
    write_table(table, snakemake.output.concordance, "concordance")
    write_table(author_labels(annotation, types=types), snakemake.output.author_labels, "author_labels")
    write_table(confusion(annotation, types=types), snakemake.output.confusion, "confusion")
    write_table(
        calibration(annotation, types=types, n_bins=params["n_bins"]), snakemake.output.calibration, "calibration"
    )
