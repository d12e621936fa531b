"""From the accession of a public single-cell series around breast cancer brain metastasis to an annotated, scored, tested atlas.

The stages below run in this order: a map over samples, then reduces over the cohort.
"""

import logging
import os
import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.20")

try:
    from brainmet.run.terminal import Short
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"{error}: this Python lacks what the workflow is made of; run it as `uv run snakemake …` in the clone, "
        "or see 'Cluster, conda, containers' in README.md"
    ) from None


configfile: f"{workflow.basedir}/config/config.yaml"


pathvars:
    shipped=os.path.realpath(f"{workflow.basedir}/resources"),
    package=os.path.realpath(f"{workflow.basedir}/workflow/brainmet"),


include: "workflow/rules/common.smk"  # config, dataset files, wildcards
include: "workflow/rules/fetch.smk"  # address          -> downloads/
include: "workflow/rules/simulate.smk"  # nothing          -> downloads/demo/
include: "workflow/rules/ingest.smk"  # any layout       -> counts.h5ad
include: "workflow/rules/qc.smk"  # counts           -> cells.parquet, moments.parquet
include: "workflow/rules/duplicates.smk"  # cells            -> duplicates
include: "workflow/rules/score.smk"  # counts           -> scores.parquet
include: "workflow/rules/genes_of_interest.smk"  # counts           -> genes cell by cell
include: "workflow/rules/features.smk"  # moments          -> features.tsv
include: "workflow/rules/slice.smk"  # counts           -> slice.npz
include: "workflow/rules/embed.smk"  # slices           -> embedding.parquet
include: "workflow/rules/cluster.smk"  # neighbours       -> clusters.parquet
include: "workflow/rules/annotate.smk"  # evidence         -> annotation.parquet
include: "workflow/rules/pseudobulk.smk"  # counts           -> pseudobulk.h5ad
include: "workflow/rules/compare.smk"  # pseudobulk       -> contrasts, de, gsea, composition
include: "workflow/rules/bulk.smk"  # bulk counts      -> bulk
include: "workflow/rules/crosstalk.smk"  # pseudobulk       -> crosstalk
include: "workflow/rules/druggability.smk"  # counts           -> druggability
include: "workflow/rules/models.smk"  # pseudobulk       -> fidelity
include: "workflow/rules/programmes.smk"  # slices           -> programmes
include: "workflow/rules/claims.smk"  # tables           -> claims
include: "workflow/rules/recovery.smk"  # tables, truth    -> recovery
include: "workflow/rules/export.smk"  # tables           -> atlas.h5ad
include: "workflow/rules/extract.smk"  # atlas            -> parts of it, on request
include: "workflow/rules/targets.smk"  # names for parts of a run
include: "workflow/rules/project.smk"  # atlas            -> projection of new samples
include: "workflow/rules/report.smk"  # tables           -> report.html
include: "workflow/rules/provenance.smk"  # everything       -> provenance/, ro-crate-metadata.json
include: "workflow/rules/design.smk"  # dataset files    -> design, catalogue


OF_CELLS = ["atlas.h5ad", "report.html", "ro-crate-metadata.json"]


rule all:
    """Everything: the atlas, the tables and the report; of bulk series alone the tables."""
    default_target: True
    input:
        collect("<results>/{of_cells}", of_cells=OF_CELLS if SAMPLES else []),
        rules.figures.output if SAMPLES else rules.provenance.output,
        collect("<results>/tables/{table}.tsv", table=TABLES),
        collect(
            "<results>/samples/{sample}/scores_networks.parquet",
            sample=SAMPLES if config["score"]["networks"] else [],
        ),
        collect(
            "<results>/samples/{sample}/scores_tasks.parquet",
            sample=SAMPLES if config["score"]["metabolic_tasks"] else [],
        ),


# At a terminal a job is its rule and its sample, instead of its dozens of inputs.
if sys.stderr.isatty():
    logging.getLogger("snakemake.logging").addFilter(Short())
    for each in workflow.rules:
        each.message = "{rule} {wildcards}"
