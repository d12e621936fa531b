"""Counts on disk: what is written comes back, in the smallest type, readable by anndata."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.core.counts import by_cell, by_gene, open_counts, sort_columns, write_counts
from brainmet.errors import BrainmetError

X = sp.random(53, 20, density=0.4, format="csr", random_state=1, data_rvs=lambda n: np.arange(1, n + 1) % 7 + 1)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_round_trip(make_counts, container):
    counts = make_counts(container(X.toarray()))
    assert np.array_equal(counts.matrix().toarray(), X.toarray())
    assert counts.shape == (53, 20)
    assert counts.nnz == X.nnz


def test_blocks_cover_the_kept_cells_in_order(make_counts):
    counts = make_counts(X)
    keep = np.arange(53) % 3 != 0
    keep[10:20] = False
    blocks = list(counts.chunks(keep, rows=5))
    assert len(blocks) == 9
    assert np.array_equal(np.vstack([b.toarray() for b in blocks]), X.toarray()[keep])
    assert list(counts.chunks(np.zeros(53, bool))) == []


def test_a_table_of_other_cells_or_in_another_order_is_refused(make_counts):
    counts = make_counts(X)
    cells = counts.cells.assign(keep=np.arange(53) % 2 == 0)
    assert np.array_equal(counts.kept(cells), np.arange(53) % 2 == 0)
    for other in (cells[:-1], cells[::-1], cells.set_axis([f"T:{i}" for i in range(53)])):
        with pytest.raises(BrainmetError, match=r"S.h5ad: its 53 cells are not the \d+ of the table beside it"):
            counts.kept(other)


def test_only_logs_are_undone(make_counts):
    plain, logs = (
        make_counts(values, uns={"values": kind}, sample=kind) for values, kind in ((X, "counts"), (X.log1p(), "log"))
    )
    blocks = [sp.vstack(list(counts.linear_chunks(rows=7))) for counts in (plain, logs)]
    assert blocks[0].dtype == blocks[1].dtype == np.float32
    assert np.array_equal(blocks[0].toarray(), X.toarray())
    assert np.allclose(blocks[1].toarray(), X.toarray(), rtol=1e-6)


@pytest.mark.parametrize(("scale", "stored"), [(1, "uint16"), (10_000, "uint32"), (0.5, "float32")])
def test_smallest_type_that_holds_the_values(make_counts, scale, stored):
    counts = make_counts(X * scale)
    with h5py.File(counts.path) as file:
        assert file["X/data"].dtype == stored
        assert file["X/indptr"].dtype == np.int64
    assert np.allclose(counts.matrix().toarray(), X.toarray() * scale)


def test_anndata_reads_the_same(make_counts):
    counts = make_counts(X, cells={"donor": "d é", "score": 0.5, "flag": True})
    adata = ad.read_h5ad(counts.path)
    assert np.array_equal(adata.X.toarray(), X.toarray())
    assert list(adata.obs_names) == list(counts.cells.index)
    assert adata.obs["donor"].unique().tolist() == ["d é"]
    assert adata.obs["flag"].dtype == bool
    assert adata.uns["values"] == "counts" == counts.uns["values"]
    pd.testing.assert_series_equal(adata.var["start"], counts.genes["start"], check_names=False)


def test_large_counts_are_stored_as_they_are_and_read_the_same_in_anndata(make_counts):
    counts = make_counts(X * 70_000.0)
    with h5py.File(counts.path) as file:
        assert (file["X/data"].dtype, file["X/data"].compression) == (np.uint32, None)
    for read in (ad.read_h5ad(counts.path).X, counts.matrix()):
        assert np.array_equal(read.toarray(), X.toarray() * 70_000.0)


def test_same_bytes(make_counts, tmp_path):
    first = make_counts(X).path.read_bytes()
    assert make_counts(X).path.read_bytes() == first


def test_an_empty_sample_round_trips(make_counts):
    assert make_counts(np.zeros((0, 4))).matrix().shape == (0, 4)


def test_duplicated_cells_are_refused(make_counts, tmp_path):
    counts = make_counts(X)
    cells = counts.cells.set_axis(["S:a"] * 53)
    with pytest.raises(ValueError, match="must be unique"):
        write_counts(tmp_path / "x.h5ad", X, cells, counts.genes, {})
    assert not (tmp_path / "x.h5ad").exists()


def test_a_truncated_file_is_named(make_counts):
    path = make_counts(X).path
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BrainmetError, match=rf"{path}: cannot be read as counts .*delete it and run again"):
        open_counts(path)


def test_columns_are_sorted_as_scipy_sorts_them():
    unsorted = sp.random(250, 40, 0.3, format="csr", random_state=1, dtype=np.float32)
    unsorted[[7, 120]] = 0
    unsorted.eliminate_zeros()
    order = np.random.default_rng(0).permutation(40).astype(np.int32)
    unsorted = sp.csr_matrix((unsorted.data, order[unsorted.indices], unsorted.indptr), shape=unsorted.shape)
    expected = unsorted.sorted_indices()
    sort_columns(unsorted)
    assert unsorted.has_sorted_indices
    np.testing.assert_array_equal(unsorted.indices, expected.indices)
    np.testing.assert_array_equal(unsorted.data, expected.data)


def test_sums_by_cell_and_by_gene():
    block = sp.csr_matrix(np.array([[0, 2, 3], [0, 0, 0], [1, 0, 5]], np.float32))
    np.testing.assert_array_equal(by_gene(block, block.data**2), [1, 4, 34])
    np.testing.assert_array_equal(by_cell(block, block.data > 2), [1, 0, 1])
