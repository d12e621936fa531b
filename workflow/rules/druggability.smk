"""Druggability: where drug targets are expressed. Expression, never advice; RNA cannot call HER2-low or IHC.

In: genes of interest of each sample (antigens are among them), the annotation, the cohort's pseudobulk.
Out: tables/druggability.tsv, one row per donor, compartment and gene; tables/drugs.tsv, what the drug list says of each
entry, with its references; tables/adc_coverage.tsv and adc_antigens.tsv, antigens of antibody-drug conjugates in the
malignant cells of each donor.
"""


rule adc_coverage:
    """Antigens of the malignant cells by donor: shares with 0, 1, 2 or more, the smallest set, normal types beside."""
    input:
        genes=collect("<results>/samples/{sample}/genes_of_interest.parquet", sample=SAMPLES),
        annotation="<results>/cohort/annotation.parquet",
        drugs="<shipped>/drugs/drugs.yaml",
        code=code("druggability"),
    output:
        coverage=listed("adc_coverage", "Findings", "antigens of antibody-drug conjugates"),
        antigens="<results>/tables/adc_antigens.tsv",
    log:
        "<logs>/adc_coverage.log",
    benchmark:
        "<benchmarks>/adc_coverage.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(190, 20),
    params:
        depth=lookup(dpath="druggability/depth", within=config),
        min_counts=lookup(dpath="druggability/min_counts", within=config),
        min_cells=lookup(dpath="druggability/min_cells", within=config),
        cover=lookup(dpath="druggability/cover", within=config),
    script:
        "../scripts/adc_coverage.py"


rule druggability:
    """Genes of the drug list in the compartments they are named for, with the highest normal cell type beside."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        drugs="<shipped>/drugs/drugs.yaml",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        code=code("druggability", "knowledge.cell_types"),
    output:
        table=listed("druggability", "Findings", "drug targets"),
        drugs="<results>/tables/drugs.tsv",
    log:
        "<logs>/druggability.log",
    benchmark:
        "<benchmarks>/druggability.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(125, 50),
    params:
        min_cells=lookup(dpath="druggability/min_cells", within=config),
    script:
        "../scripts/druggability.py"
