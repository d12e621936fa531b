"""Compare: pseudobulk -> markers, donor scores, contrasts, differential expression, enrichment, composition, nulls.

In: the cohort's pseudobulk.h5ad, the signatures. Out: one table per rule, schemas in workflow/schemas/tables/. Donors are
the replicates of every test.
"""


rule markers:
    """Marker genes of each cell type, one against the rest, on pseudobulk."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        code=code("compare.type_markers"),
    output:
        table=listed("markers", "Cells", "genes that mark each type"),
    log:
        "<logs>/markers.log",
    benchmark:
        "<benchmarks>/markers.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(160, 20),
    params:
        min_cells=lookup(dpath="compare/min_cells", within=config),
        min_counts=lookup(dpath="compare/scoring/min_counts", within=config),
        top=lookup(dpath="compare/markers/top", within=config),
    script:
        "../scripts/markers.py"


rule donor_scores:
    """Score of every signature in every donor and compartment."""
    input:
        **SIGNATURES,
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        code=code("compare.donor_scores", "compare.inputs"),
    output:
        table=listed("donor_scores", "Signatures", "scores of donors"),
    log:
        "<logs>/donor_scores.log",
    benchmark:
        "<benchmarks>/donor_scores.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(240, 10),
    params:
        tier=lookup(dpath="score/tier", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        scoring=lookup(dpath="compare/scoring", within=config),
    script:
        "../scripts/donor_scores.py"


rule contrasts:
    """Every signature in every compartment between conditions, with its estimator."""
    input:
        **SIGNATURES,
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        code=code("compare.confounders", "compare.drift", "compare.inputs"),
    output:
        table=listed("contrasts", "Findings", "signatures between conditions"),
    log:
        "<logs>/contrasts.log",
    benchmark:
        "<benchmarks>/contrasts.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(225, 24),
    params:
        tier=lookup(dpath="score/tier", within=config),
        ambient=lookup(dpath="compare/ambient", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        contrasts=lookup(dpath="compare/contrasts", within=config),
        design=lookup(dpath="compare/design", within=config),
        scoring=lookup(dpath="compare/scoring", within=config),
    script:
        "../scripts/contrasts.py"


rule nulls:
    """What the same tests find under permuted labels and for random gene sets."""
    input:
        **SIGNATURES,
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        code=code("compare.nulls", "compare.inputs"),
    output:
        table=listed("nulls", "Findings", "tests when there is nothing to find"),
    log:
        "<logs>/nulls.log",
    benchmark:
        "<benchmarks>/nulls.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(200, 26),
    params:
        tier=lookup(dpath="score/tier", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        contrasts=lookup(dpath="compare/contrasts", within=config),
        design=lookup(dpath="compare/design", within=config),
        scoring=lookup(dpath="compare/scoring", within=config),
        ambient=lookup(dpath="compare/ambient", within=config),
        runs=lookup(dpath="compare/nulls/runs", within=config),
    script:
        "../scripts/nulls.py"


rule de:
    """Differential expression of genes by pydeseq2 on pseudobulk."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        code=code("compare.de", "compare.inputs"),
    output:
        table=listed("de", "Findings", "genes between conditions"),
    log:
        "<logs>/de.log",
    benchmark:
        "<benchmarks>/de.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(240, 32),
    params:
        ambient=lookup(dpath="compare/ambient", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        contrasts=lookup(dpath="compare/contrasts", within=config),
        design=lookup(dpath="compare/design", within=config),
        compartments=lookup(dpath="compare/de/compartments", within=config),
        min_counts=lookup(dpath="compare/scoring/min_counts", within=config),
        min_gene_counts=lookup(dpath="compare/de/min_gene_counts", within=config),
    script:
        "../scripts/de.py"


rule gsea:
    """Enrichment of the signatures in the ranking of the differential expression, and in each donor."""
    input:
        **SIGNATURES,
        de="<results>/tables/de.tsv",
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        compartments="<shipped>/signatures/compartments.yaml",
        types=TYPES,
        code=code("compare.gsea", "compare.inputs"),
    output:
        table=listed("gsea", "Findings", "enrichment of signatures"),
        donors="<results>/tables/donor_sets.tsv",
    log:
        "<logs>/gsea.log",
    benchmark:
        "<benchmarks>/gsea.tsv"
    priority: ALL_TABLES
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(310, 8.8),
    params:
        tier=lookup(dpath="score/tier", within=config),
        min_cells=lookup(dpath="compare/min_cells", within=config),
        compartments=lookup(dpath="compare/de/compartments", within=config),
        min_size=lookup(dpath="compare/gsea/min_size", within=config),
        max_size=lookup(dpath="compare/gsea/max_size", within=config),
        permutations=lookup(dpath="compare/gsea/permutations", within=config),
        seed=lookup(dpath="compare/design/seed", within=config),
    script:
        "../scripts/gsea.py"


rule composition:
    """Cell-type composition of donors between conditions."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        code=code("compare.composition"),
    output:
        table=listed("composition", "Composition", "cell types between conditions"),
    log:
        "<logs>/composition.log",
    benchmark:
        "<benchmarks>/composition.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(185),
    params:
        contrasts=lookup(dpath="compare/contrasts", within=config),
        design=lookup(dpath="compare/design", within=config),
        min_cells=lookup(dpath="compare/composition/min_cells", within=config),
    script:
        "../scripts/composition.py"
