"""Time and peak memory of features, slice, embed and cluster on a cohort of `.h5ad` files with raw counts.

usage: python tests/benchmarks/bench_embed.py FOLDER    (one file per sample; cells are taken as they are)

Prints a JSON line a step: wall and CPU seconds, peak memory of the process so far in MB. Moments,
which QC writes, are computed here and are not counted.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import yaml
from brainmet import cluster, embed, features
from brainmet import slice as slices
from brainmet.core import neighbors
from brainmet.core.counts import open_counts, write_counts
from brainmet.core.normalise import per_ten_thousand
from brainmet.embed import layout
from threadpoolctl import threadpool_limits

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())


def lap(step: str, call: Callable[[], Any]) -> Any:
    """Result of the call, after printing what it took."""
    wall, cpu = time.time(), time.process_time()
    result = call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    took = {"wall_s": round(time.time() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2), "peak_mb": peak}
    print(json.dumps({"step": step} | took), flush=True)
    return result


def prepare(source: Path, folder: Path) -> pd.DataFrame:
    """Write the sample's counts as ingest would; returns its moments."""
    atlas = anndata.read_h5ad(source)
    names = [f"{source.stem}:{name}" for name in atlas.obs_names]
    ids = pd.Index([f"ENSG{i:011d}" for i in range(atlas.n_vars)], name="ensembl_id")
    genes = pd.DataFrame({"symbol": atlas.var_names.to_numpy(object), "chromosome": "", "start": 0, "end": 0}, ids)
    cells = pd.DataFrame({"sample": source.stem}, index=pd.Index(names, name="cell_id"))
    write_counts(folder / "counts.h5ad", atlas.X, cells, genes, {"values": "counts"})
    scaled, n = per_ten_thousand(atlas.X, values="counts"), atlas.n_obs
    mean, square = (np.asarray(x.mean(axis=0)).ravel() for x in (scaled, scaled.power(2)))
    table = {"n_cells_kept": n, "n_cells_detected": atlas.X.getnnz(axis=0), "mean_expm1": mean}
    return genes[["symbol"]].reset_index().assign(**table, var_expm1=(square - mean**2) * n / (n - 1))


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    sources = sorted(folder.glob("*.h5ad"))
    moments = [prepare(source, folder / "bench" / source.stem) for source in sources]
    paths = [folder / "bench" / source.stem / "slice.npz" for source in sources]
    choice = CONFIG["embed"]

    def cut() -> None:
        for path in paths:
            counts = open_counts(path.with_name("counts.h5ad"))
            slices.save(path, slices.slice_counts(counts, keep=np.ones(len(counts.cells), bool), genes=genes))

    with threadpool_limits(1):
        table = lap("features", lambda: features.features(moments, **CONFIG["features"]))
        genes = features.variable(table)
        lap("slice", cut)
        parts = slices.read_slices(paths)
        pick = {name: choice[name] for name in ("n_components", "scale")}
        scores, _, cells, sample = lap("components", lambda: embed.components(parts, **pick))
        pick = {name: choice[name] for name in ("theta", "max_iterations", "seed")}
        space = lap("harmony", lambda: embed.harmony(scores, sample, threads=2, **pick))
        pick = {"k": choice["n_neighbors"], "exact_below": choice["exact_below"]}
        indices, distances = lap("neighbours", lambda: neighbors.nearest(space, threads=2, **pick))
        pick = {name: choice[name] for name in ("min_dist", "layout_cells", "seed")}
        lap("layout", lambda: layout.layout(space, indices, distances, **pick))
        pick = {name: CONFIG["cluster"][name] for name in ("resolutions", "prune", "n_iterations", "seed")}
        lap("cluster", lambda: cluster.clusters(cells, indices, **pick))
        pick |= {name: CONFIG["cluster"][name] for name in ("n_subsamples", "fraction", "stability_cells")}
        lap("stability", lambda: cluster.stability(space, n_neighbors=choice["n_neighbors"], **pick))


if __name__ == "__main__":
    main()
