"""Cluster: neighbours -> clusters.parquet (Leiden at several resolutions), stability.tsv (what the data support)."""


rule stability:
    """How well the clusters of each resolution hold when cells are left out, beside cells without clusters."""
    input:
        embedding="<results>/cohort/embedding.parquet",
        code=code("cluster", "embed", "core.tables"),
    output:
        table="<results>/tables/stability.tsv",
    log:
        "<logs>/stability.log",
    benchmark:
        "<benchmarks>/stability.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(275, 7.1),
    params:
        resolutions=lookup(dpath="cluster/resolutions", within=config),
        prune=lookup(dpath="cluster/prune", within=config),
        n_iterations=lookup(dpath="cluster/n_iterations", within=config),
        n_subsamples=lookup(dpath="cluster/n_subsamples", within=config),
        fraction=lookup(dpath="cluster/fraction", within=config),
        stability_cells=lookup(dpath="cluster/stability_cells", within=config),
        seed=lookup(dpath="cluster/seed", within=config),
        n_neighbors=lookup(dpath="embed/n_neighbors", within=config),
    script:
        "../scripts/stability.py"


rule cluster:
    """Leiden clusters of all cells at every resolution, and the one that is used."""
    input:
        neighbors="<results>/cohort/neighbors.npz",
        embedding="<results>/cohort/embedding.parquet",
        stability="<results>/tables/stability.tsv",
        code=code("cluster", "core.tables"),
    output:
        clusters="<results>/cohort/clusters.parquet",
    log:
        "<logs>/cluster.log",
    benchmark:
        "<benchmarks>/cluster.tsv"
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        mem_mb=memory(245, 6.4),
    params:
        resolution=lookup(dpath="cluster/resolution", within=config),
        resolutions=lookup(dpath="cluster/resolutions", within=config),
        prune=lookup(dpath="cluster/prune", within=config),
        n_iterations=lookup(dpath="cluster/n_iterations", within=config),
        seed=lookup(dpath="cluster/seed", within=config),
        gpu=config["gpu"],
    script:
        "../scripts/cluster.py"
