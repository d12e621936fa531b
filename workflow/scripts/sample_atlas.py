"""One sample of the atlas."""

from brainmet.core.files import replacing
from brainmet.extract import of_sample
from brainmet.run.job import job

with job(snakemake), replacing(snakemake.output.atlas) as partial:
    part = of_sample(snakemake.input.atlas, snakemake.wildcards.sample)
    part.write_h5ad(partial, compression="gzip", convert_strings_to_categoricals=False)
