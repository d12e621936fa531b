"""The atlas."""

from brainmet.ambient.cells import shares
from brainmet.annotate.inputs import read_input
from brainmet.contract import Obs
from brainmet.core.counts import open_counts
from brainmet.core.tables import names_in, read_table
from brainmet.export import coordinates, description, export, observed
from brainmet.run.job import job

with job(snakemake) as params:
    files, records = snakemake.input, params["samples"]
    annotation, clusters = read_table(files.annotation, "annotation"), read_table(files.clusters, "clusters")
    obs = observed(annotation, clusters, files.cells, records)
    del annotation, clusters
    samples = obs[Obs.SAMPLE].astype(str)
    export(
        snakemake.output.atlas,
        [open_counts(path) for path in files.counts],
        obs=obs,
        obsm=coordinates(files.embedding, files.malignant, files.scores, obs.index),
        features=read_table(files.features, "features"),
        uns=description(records) | {"scores": names_in(files.scores[0])[1:]},
        compression=params["compression"],
        threads=snakemake.threads,
        ambient_shares=shares(read_input("ambient", files.ambient), samples) if params["ambient_corrected"] else None,
    )
