"""Harmony, nearest neighbours, layout and Leiden on an NVIDIA GPU, by rapids-singlecell in an environment of its own.

RAPIDS asks for other versions of numba, scanpy and their relatives than the lock file holds. Therefore its Python is
started as another process, which gets arrays and gives arrays back.
"""

import json
import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from brainmet.errors import BrainmetError
from brainmet.gpu import rapids

log = logging.getLogger(__name__)
SOFTWARE = ("rapids-singlecell", "cuml", "cugraph", "cupy")
"""Distributions that results on a GPU depend on; most names end in the version of CUDA."""
LISTING = (
    "import json; from importlib.metadata import *; print(json.dumps({d.name: d.version for d in distributions()}))"
)


def space(
    python: str,
    scores: np.ndarray,
    sample: np.ndarray | None,
    *,
    theta: float,
    max_iterations: int,
    n_neighbors: int,
    min_dist: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The integrated space, its nearest neighbours and its layout.

    Args:
        python: interpreter of an environment with rapids-singlecell.
        scores: cells × components.
        sample: code of each cell's sample, or None to leave the components as they are.
        theta, max_iterations, n_neighbors, min_dist, seed: see `brainmet.embed.embedding`.

    Returns:
        Cells × components (float32); indices (int32) and Euclidean distances (float32) of all cells' exact neighbours,
        nearest first; cells × 2 (float32).

    Raises:
        BrainmetError: the interpreter, rapids-singlecell or the GPU does not work.
    """
    found = _run(
        python,
        "space",
        scores=scores,
        **({} if sample is None else {"sample": sample}),
        theta=theta,
        max_iterations=max_iterations,
        k=min(n_neighbors, len(scores) - 1),
        min_dist=min_dist,
        seed=seed,
    )
    return found["corrected"], found["indices"], found["distances"], found["flat"]


def leiden(
    python: str, links: np.ndarray, weights: np.ndarray, *, n: int, resolutions: Sequence[float], seed: int
) -> dict[float, np.ndarray]:
    """Clusters of `n` cells at each resolution by cuGraph's Leiden, numbered in no order.

    Args:
        python: interpreter of an environment with rapids-singlecell.
        links, weights: from `brainmet.cluster.shared_neighbors`.

    Raises:
        BrainmetError: the interpreter, rapids-singlecell or the GPU does not work.
    """
    found = _run(python, "leiden", links=links, weights=weights, n=n, resolutions=list(resolutions), seed=seed)
    return dict(zip(resolutions, found["labels"], strict=True))


def versions(python: str) -> dict[str, str]:
    """Versions of what computes on the GPU, by distribution, such as `cuml-cu13`.

    Args:
        python: interpreter of an environment with rapids-singlecell.

    Raises:
        BrainmetError: the interpreter does not work.
    """
    listed = json.loads(_printed([python, "-c", LISTING]))
    return {name: version for name, version in sorted(listed.items()) if name.startswith(SOFTWARE)}


def _run(python: str, task: str, **given: Any) -> dict[str, np.ndarray]:
    with TemporaryDirectory() as folder:
        arrays, results = Path(folder) / "arrays.npz", Path(folder) / "results.npz"
        np.savez(arrays, **given)
        log.info("%s on the GPU, by %s", task, python)
        log.info(_printed([python, rapids.__file__, task, str(arrays), str(results)]))
        with np.load(results) as file:
            return dict(file)


def _printed(command: Sequence[str]) -> str:
    """What a program of the other Python prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BrainmetError(f"config.yaml: gpu: {command[0]} cannot be started: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        log.error(done.stderr)
        raise BrainmetError(
            f"config.yaml: gpu: {command[0]} failed: {said[-1]}; it needs rapids-singlecell and an NVIDIA GPU "
            "(see README), or set it to null to use CPUs"
        )
    return done.stdout.strip()
