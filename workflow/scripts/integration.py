"""What integration did, and malignant cells in a space of their own."""

from brainmet.core.tables import read_table, write_table
from brainmet.embed.integration import integration, malignant_embedding
from brainmet.run.job import job
from brainmet.slice import read_slices

with job(snakemake) as params:
    annotation, seed = read_table(snakemake.input.annotation, "annotation"), params["seed"]
    embedding = read_table(snakemake.input.embedding, "embedding")
    table = integration(embedding, annotation, **params["measures"], seed=seed)
    write_table(table, snakemake.output.integration, "integration")
    own = malignant_embedding(read_slices(snakemake.input.slices), annotation, **params["space"], seed=seed)
    write_table(own, snakemake.output.malignant, "malignant_embedding")
