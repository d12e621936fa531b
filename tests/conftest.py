"""Small inputs with known truth, built in memory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.contract import CELL_ID, Var
from brainmet.counts import Counts, open_counts, write_counts

from tests.running import HOME, mini, snakemake, tiny


@pytest.fixture(scope="session")
def home() -> Path:
    """The workflow's folder."""
    return HOME


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Public series kept beside the checkout for tests on real input."""
    folder = HOME.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture
def make_counts(tmp_path: Path) -> Callable[..., Counts]:
    """Write a matrix as the counts of a sample and open it."""

    def make(
        X: np.ndarray | sp.spmatrix,
        *,
        symbols: list[str] | None = None,
        sample: str = "S",
        cells: dict[str, object] | None = None,
        genes: dict[str, object] | None = None,
        uns: dict[str, object] | None = None,
    ) -> Counts:
        X = sp.csr_matrix(X)
        n_cells, n_genes = X.shape
        symbols = symbols or [f"G{i}" for i in range(n_genes)]
        described = {
            "dataset": "D",
            "study": "D",
            "sample": sample,
            "donor": sample,
            "condition": "primary",
            "author_label": "",
            "author_cell_type": "",
        } | (cells or {})
        obs = pd.DataFrame(described, index=pd.Index([f"{sample}:c{i}" for i in range(n_cells)], name=CELL_ID))
        placed = {
            Var.SYMBOL: symbols,
            Var.CHROMOSOME: "1",
            Var.START: np.arange(n_genes) * 10_000 + 1,
            Var.END: np.arange(n_genes) * 10_000 + 5_000,
        }
        var = pd.DataFrame(
            placed | (genes or {}),
            index=pd.Index([f"ENSG{i:011d}" for i in range(n_genes)], name=Var.ENSEMBL),
        )
        described_uns = {
            "organism": "human",
            "technology": "10x_3prime",
            "suspension": "cell",
            "values": "counts",
        }
        path = tmp_path / f"{sample}.h5ad"
        write_counts(path, X, obs, var, described_uns | (uns or {}))
        return open_counts(path)

    return make


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """The folder of a finished tiny run."""
    folder = tmp_path_factory.mktemp("tiny")
    snakemake(folder, "--cores", "2", config=tiny())
    return folder


@pytest.fixture(scope="session")
def mini_run(tmp_path_factory) -> Path:
    """The folder of a finished mini run; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("mini")
    snakemake(folder, "--cores", "2", config=mini())
    return folder


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory) -> Path:
    """The folder of a finished run of the shipped default, for slow tests."""
    folder = tmp_path_factory.mktemp("demo")
    snakemake(folder, "--cores", "2")
    return folder


@pytest.fixture(scope="session")
def real_run(real_data, tmp_path_factory) -> Path:
    """The folder of a finished run on real cells: a breast tumour with its stroma, and normal brain."""
    folder = tmp_path_factory.mktemp("real")
    config = {"datasets": ["breast_cid4465", "brain_gse67835"], "dataset_paths": [str(HOME / "tests/real")]}
    snakemake(folder, "--cores", "2", config=config)
    return folder
