"""Where a result comes from: contract, software, configuration, samples and the bytes they were read from."""

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from brainmet import contract, gpu
from brainmet.core.tables import columns
from brainmet.datasets import public

SOFTWARE = (
    "brainmet",
    "snakemake",
    "anndata",
    "scanpy",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "numba",
    "igraph",
    "leidenalg",
    "harmonypy",
    "scranpy",
    "faiss-cpu",
    "xgboost",
    "infercnvpy",
    "decoupler",
    "gseapy",
    "pydeseq2",
    "liana",
    "statsmodels",
)
"""Distributions whose versions a methods section names."""
XGBOOST = "xgboost" if sys.platform == "darwin" else "xgboost-cpu"
"""The distribution of xgboost here."""


def versions(other: str | None) -> dict[str, str]:
    """Python and the distributions that results depend on, with their versions.

    Args:
        other: interpreter of the environment whose software computes on a GPU, if one does.
    """
    own = {name: version(XGBOOST if name == "xgboost" else name) for name in SOFTWARE}
    return {"python": platform.python_version()} | own | (gpu.versions(other) if other else {})


def run(
    *, config: Mapping[str, Any], samples: Mapping[str, Mapping[str, Any]], knowledge: Mapping[str, str]
) -> dict[str, Any]:
    """What a run was: contract version, software, every setting, every sample with its description.

    Args:
        config: the merged configuration.
        samples: records by sample id.
        knowledge: file of signatures, markers, claims, ... → sha256.
    """
    return {
        "contract_version": contract.VERSION,
        "software": versions(config.get("gpu")),
        "config": dict(config),
        "knowledge": dict(knowledge),
        "samples": {id_: public(record) for id_, record in samples.items()},
    }


def inputs(checksums: Mapping[str, str]) -> pd.DataFrame:
    """The table `inputs` of one sample: name, size in bytes and sha256 of every raw file that it was read from.

    Args:
        checksums: path → sha256.
    """
    rows = [(path, Path(path).stat().st_size, digest) for path, digest in sorted(checksums.items())]
    return pd.DataFrame(rows, columns=columns("inputs"))


def collect(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The table `inputs` of all samples, each file once, sorted by name."""
    return pd.concat(parts).drop_duplicates().sort_values(["file", "sha256"], kind="stable", ignore_index=True)
