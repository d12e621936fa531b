"""Embed: slices -> embedding.parquet (components, Harmony, layout), neighbors.npz; later what integration did."""


rule embed:
    """One space for the cells of all samples: components, Harmony, nearest neighbours, layout."""
    input:
        slices=collect("<results>/samples/{sample}/slice.npz", sample=SAMPLES),
        code=code("embed", "core.tables"),
    output:
        embedding="<results>/cohort/embedding.parquet",
        neighbors="<results>/cohort/neighbors.npz",
    log:
        "<logs>/embed.log",
    benchmark:
        "<benchmarks>/embed.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    threads: half_of_cores
    resources:
        mem_mb=memory(295, 1.9),
    params:
        samples=list(SAMPLES),
        integrate=lookup(dpath="embed/integrate", within=config),
        n_components=lookup(dpath="embed/n_components", within=config),
        scale=lookup(dpath="embed/scale", within=config),
        theta=lookup(dpath="embed/theta", within=config),
        max_iterations=lookup(dpath="embed/max_iterations", within=config),
        n_neighbors=lookup(dpath="embed/n_neighbors", within=config),
        exact_below=lookup(dpath="embed/exact_below", within=config),
        min_dist=lookup(dpath="embed/min_dist", within=config),
        layout_cells=lookup(dpath="embed/layout_cells", within=config),
        seed=lookup(dpath="embed/seed", within=config),
        gpu=config["gpu"],
    script:
        "../scripts/embed.py"


rule integration:
    """Mixing and conservation before and after integration, with alarms; malignant cells in a space of their own."""
    input:
        embedding="<results>/cohort/embedding.parquet",
        annotation="<results>/cohort/annotation.parquet",
        slices=collect("<results>/samples/{sample}/slice.npz", sample=SAMPLES),
        code=code("embed.integration"),
    output:
        integration=listed("integration", "Cells", "what integration did"),
        malignant="<results>/cohort/malignant_embedding.parquet",
    log:
        "<logs>/integration.log",
    benchmark:
        "<benchmarks>/integration.tsv"
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(345, 2.1),
    params:
        measures=lookup(dpath="embed/integration", within=config),
        seed=lookup(dpath="embed/seed", within=config),
        space={
            name: config["embed"][name]
            for name in ("n_components", "scale", "n_neighbors", "exact_below", "min_dist", "layout_cells")
        },
    script:
        "../scripts/integration.py"
