"""Small inputs with known truth, built in memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.contract import CELL_ID, Var
from brainmet.core.counts import Counts, open_counts, write_counts
from brainmet.knowledge.genes import GeneTable, read_genes

from tests.running import HOME, mini, real, snakemake, tiny

REAL_DATA = HOME.parent / "shared" / "data"
RUNS = {"tiny_run": tiny(), "mini_run": mini(), "demo_run": {}} | ({"real_run": real()} if REAL_DATA.is_dir() else {})
"""Whole runs that many tests look at, and their configuration."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole runs come last: the runs are made on the other core meanwhile."""
    items.sort(key=lambda item: not RUNS.keys().isdisjoint(item.fixturenames))


@pytest.fixture(scope="session")
def home() -> Path:
    """The workflow's folder."""
    return HOME


@pytest.fixture(scope="session")
def human() -> GeneTable:
    """The shipped genes of human."""
    return read_genes(HOME / "resources/genes/human.tsv.gz")


@pytest.fixture(scope="session")
def mouse() -> GeneTable:
    """The shipped genes of mouse."""
    return read_genes(HOME / "resources/genes/mouse.tsv.gz")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Public series kept beside the checkout for tests on real input."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}")
    return REAL_DATA


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


@pytest.fixture(scope="session", autouse=True)
def begin(request, tmp_path_factory) -> Iterator[Callable[[str], Future[Path]]]:
    """Begin a whole run, or find it begun: those that the chosen tests use begin at once, one after the other."""
    with ThreadPoolExecutor(1) as pool:

        @cache
        def begin(name: str) -> Future[Path]:
            return pool.submit(finished, tmp_path_factory.mktemp(name), RUNS[name])

        for item in request.session.items:
            for name in RUNS.keys() & item.fixturenames:
                begin(name)
        yield begin
        pool.shutdown(cancel_futures=True)


def finished(folder: Path, config: dict) -> Path:
    """The folder, after a run in it."""
    snakemake(folder, "--cores", "2", config=config)
    return folder


@pytest.fixture(scope="session")
def tiny_run(begin) -> Path:
    """The folder of a finished tiny run."""
    return begin("tiny_run").result()


@pytest.fixture(scope="session")
def mini_run(begin) -> Path:
    """The folder of a finished mini run; copy it before changing anything."""
    return begin("mini_run").result()


@pytest.fixture(scope="session")
def demo_run(begin) -> Path:
    """The folder of a finished run of the shipped default, for slow tests."""
    return begin("demo_run").result()


@pytest.fixture(scope="session")
def real_run(real_data, begin) -> Path:
    """The folder of a finished run on real cells: a breast tumour with its stroma, and normal brain."""
    return begin("real_run").result()
