"""From h5ad files to clusters and a layout with brisc: read, QC, doublets, variable genes, PCA, Harmony, kNN, clusters.

usage: brisc_route.py OUT.json SAMPLE.h5ad [SAMPLE.h5ad ...]    (needs brisc; run by bench_brisc.py)
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brisc import SingleCell

LAPS: list[dict[str, Any]] = []


def lap(step: str, call: Callable[[], Any]) -> Any:
    """Result of the call; what it took is kept and printed."""
    start, result = time.time(), call()
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = {"wall_s": round(time.time() - start, 2), "cpu_s": round(used.ru_utime + used.ru_stime, 2)}
    LAPS.append({"stage": step, **took, "peak_mb": used.ru_maxrss // 1024})
    print(json.dumps(LAPS[-1]), flush=True)
    return result


def main(out: str, files: list[str]) -> None:
    """The route; `cpu_s` and `peak_mb` of a step are those of the process so far."""
    parts = lap("read", lambda: [SingleCell(file) for file in files])
    cells = lap("concat", lambda: parts[0].concat_obs(parts[1:], flexible=True) if len(parts) > 1 else parts[0])
    # Limits that drop as little as ours: the drawn cohort has no MALAT1 rule and mitochondrial shares up to 10 %.
    limits = {"max_mito_fraction": 0.1, "nonzero_MALAT1": False, "allow_float": True}
    cells = lap("qc, doublets", lambda: cells.qc(remove_doublets=True, batch_column="sample", **limits))
    cells = lap("hvg", lambda: cells.hvg(batch_column="sample"))
    cells = lap("normalize", lambda: cells.normalize())
    cells = lap("pca", lambda: cells.pca())
    cells = lap("harmonize", lambda: cells.harmonize(batch_column="sample"))
    cells = lap("neighbors", lambda: cells.neighbors(PC_key="harmony"))
    cells = lap("shared_neighbors", lambda: cells.shared_neighbors())
    for name, resolution in (("coarse", 0.5), ("middle", 1.0), ("fine", 2.0)):
        how = {"resolution": resolution, "cluster_column": name}
        cells = lap(f"cluster {resolution}", lambda cells=cells, how=how: cells.cluster(**how))
    lap("pacmap", lambda: cells.pacmap(PC_key="harmony"))
    total = {"stage": "TOTAL", "wall_s": sum(row["wall_s"] for row in LAPS)}
    LAPS.append(total | {name: LAPS[-1][name] for name in ("cpu_s", "peak_mb")})
    Path(out).write_text(json.dumps(LAPS, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
