"""Extract: the finished atlas -> parts of it on request.

One h5ad per cell type or sample, CELLxGENE, Seurat, pseudobulk.
"""


rule by_cell_type:
    """One h5ad for every cell type of the atlas, in results/by_cell_type/."""
    input:
        atlas="<results>/atlas.h5ad",
        code=code("extract"),
    output:
        folder=directory("<results>/by_cell_type"),
    log:
        "<logs>/by_cell_type.log",
    benchmark:
        "<benchmarks>/by_cell_type.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(550, 0.2),
    script:
        "../scripts/by_cell_type.py"


rule sample_atlas:
    """The cells of one sample out of the atlas, with everything said about them."""
    input:
        atlas="<results>/atlas.h5ad",
        code=code("extract"),
    output:
        atlas="<results>/samples/{sample}/atlas.h5ad",
    log:
        "<logs>/sample_atlas/{sample}.log",
    benchmark:
        "<benchmarks>/sample_atlas/{sample}.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(600, 0.3 + min(5, 10 / max(1, len(SAMPLES)))),  # all cells' table, a sample's counts unpacked
    script:
        "../scripts/sample_atlas.py"


rule cellxgene:
    """A copy of the atlas that `cellxgene-schema validate` accepts, for upload to CELLxGENE."""
    input:
        atlas="<results>/atlas.h5ad",
        code=code("extract"),
    output:
        atlas="<results>/atlas_cellxgene.h5ad",
    log:
        "<logs>/cellxgene.log",
    benchmark:
        "<benchmarks>/cellxgene.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(500),
    script:
        "../scripts/cellxgene.py"


rule seurat:
    """The atlas for R: counts as a 10x Genomics file and the cells' table, which one line of Seurat reads."""
    input:
        atlas="<results>/atlas.h5ad",
        code=code("extract"),
    output:
        matrix="<results>/atlas_10x.h5",
        cells="<results>/atlas_obs.tsv.gz",
    log:
        "<logs>/seurat.log",
    benchmark:
        "<benchmarks>/seurat.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(400, 0.3),
    script:
        "../scripts/seurat.py"


rule pseudobulk_tsv:
    """Counts summed by sample and cell type as one TSV, for edgeR, limma or a spreadsheet."""
    input:
        pseudobulk="<results>/cohort/pseudobulk.h5ad",
        code=code("extract"),
    output:
        table="<results>/pseudobulk.tsv.gz",
    log:
        "<logs>/pseudobulk_tsv.log",
    benchmark:
        "<benchmarks>/pseudobulk_tsv.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(250, 60),
    script:
        "../scripts/pseudobulk_tsv.py"
