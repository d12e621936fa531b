"""Slices: the variable genes of the kept cells as scanpy would normalise them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.core.counts import Counts, open_counts, write_counts
from brainmet.errors import BrainmetError
from brainmet.slice import Slice, load, read_slices, save, slice_counts

GENES = [f"ENSG{i:05d}" for i in range(30)]


@pytest.fixture
def counts(tmp_path: Path) -> Counts:
    X = sp.csr_matrix(np.random.default_rng(0).poisson(1.0, (40, 30)))
    cells = pd.DataFrame({"sample": "s1"}, index=pd.Index([f"s1:c{i}" for i in range(40)], name="cell_id"))
    genes = pd.DataFrame(
        {"symbol": GENES, "chromosome": "1", "start": 1, "end": 2}, index=pd.Index(GENES, name="ensembl_id")
    )
    write_counts(tmp_path / "counts.h5ad", X, cells, genes, {"values": "counts"})
    return open_counts(tmp_path / "counts.h5ad")


KEEP = np.arange(40) % 3 > 0
WANTED = np.array([GENES[2], "ENSG_ABSENT", GENES[7], GENES[28]], dtype=object)


def test_values_are_those_of_all_genes_normalised(counts: Counts) -> None:
    part = slice_counts(counts, keep=KEEP, genes=WANTED)
    dense = counts.matrix().toarray()[KEEP]
    expected = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)[:, [2, 7, 28]]
    np.testing.assert_allclose(part.X.toarray()[:, [0, 2, 3]], expected, rtol=1e-6)
    assert list(part.measured) == [True, False, True, True] and part.X[:, [1]].nnz == 0
    assert list(part.cells) == [f"s1:c{i}" for i in range(40) if KEEP[i]]


def test_written_and_read(counts: Counts, tmp_path: Path) -> None:
    part = slice_counts(counts, keep=KEEP, genes=WANTED)
    for name in ("a", "b"):
        save(tmp_path / f"{name}.npz", part)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    slices = read_slices([tmp_path / "a.npz", tmp_path / "b.npz"])
    for _ in range(2):
        for back in slices:
            assert (back.X != part.X).nnz == 0 and back.X.dtype == np.float32
            assert list(back.cells) == list(part.cells) and list(back.genes) == list(WANTED)


def test_nothing_kept_and_nothing_measured(counts: Counts, tmp_path: Path) -> None:
    save(tmp_path / "none.npz", slice_counts(counts, keep=np.zeros(40, bool), genes=WANTED))
    assert load(tmp_path / "none.npz").X.shape == (0, 4)
    assert slice_counts(counts, keep=KEEP, genes=np.array(["x"], dtype=object)).X.nnz == 0


def test_truncated_file_is_named(counts: Counts, tmp_path: Path) -> None:
    save(tmp_path / "s.npz", slice_counts(counts, keep=KEEP, genes=WANTED))
    (tmp_path / "s.npz").write_bytes((tmp_path / "s.npz").read_bytes()[:200])
    with pytest.raises(BrainmetError, match=r"s\.npz: cannot be read as a slice"):
        load(tmp_path / "s.npz")


def test_only_variable_genes_enter_the_embedding(tmp_path):
    X = sp.csr_matrix(np.array([[1, 2, 0], [0, 3, 4]], np.float32))
    genes = np.array(["a", "b", "c"], dtype=object)
    cells = np.array(["x", "y"], dtype=object)
    save(tmp_path / "s.npz", Slice(X, np.array([True, True, False]), cells, genes, np.array([True, False, True])))
    whole, part = (read_slices([tmp_path / "s.npz"], informative=informative)[0] for informative in (True, False))
    assert list(whole.genes) == ["a", "b", "c"] and list(part.genes) == ["a", "c"]
    assert part.X.toarray().tolist() == [[1, 0], [0, 4]] and part.measured.tolist() == [True, False]
