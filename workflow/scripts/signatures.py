"""The signatures of the run as a .gmt file, and what is known of each."""

from brainmet.core.documents import read_yaml
from brainmet.core.files import replacing
from brainmet.core.tables import write_table
from brainmet.knowledge.signatures import configured, described, gmt
from brainmet.run.job import job

with job(snakemake) as params:
    files = snakemake.input
    signatures = configured(files.signatures, files.files, files.confounders, **params)
    with replacing(snakemake.output.gmt) as partial:
        partial.write_text(gmt(signatures))
    references, hgnc = read_yaml(files.references)["references"], read_yaml(files.signatures)["hgnc_names"]
    write_table(described(signatures, references, hgnc), snakemake.output.table, "signatures")
