"""Subtraction of ambient RNA by hand numbers, and on a mixture of known share."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.ambient.cells import correction, left, poured, shares
from brainmet.core.counts import open_counts, write_counts

from tests.annotation_toy import toy


def test_pouring_by_hand():
    limits, weights = np.array([10.0, 1.0, 5.0]), np.array([0.25, 0.5, 0.25])
    assert poured(limits, weights, 1.0).tolist() == [0.25, 0.5, 0.25]
    # Six: the second gives all it has, one; the other five come from the others in equal parts.
    assert poured(limits, weights, 6.0).tolist() == [2.5, 1.0, 2.5]
    # Fourteen: the third is empty too, the first gives the rest.
    assert poured(limits, weights, 14.0) == pytest.approx([8.0, 1.0, 5.0])
    assert poured(limits, weights, 99.0).tolist() == limits.tolist()
    assert poured(limits, np.array([0.0, 1.0, 0.0]), 3.0).tolist() == [0.0, 1.0, 0.0]
    assert poured(limits, weights, 0.0).tolist() == [0.0, 0.0, 0.0]


def test_types_lose_the_share_by_hand():
    sums = np.array([[90.0, 10.0], [10.0, 90.0]])  # profile: half and half; a fifth of a hundred is twenty
    assert left(sums, share=0.2) == pytest.approx(np.array([[8 / 9, 0.0], [0.0, 8 / 9]]))
    assert left(sums, share=0.1) == pytest.approx(np.array([[85 / 90, 0.5], [0.5, 85 / 90]]))
    assert (left(sums, share=0.0) == 1).all()
    assert left(np.array([[4.0, 0.0]]), share=0.5).tolist() == [[0.5, 1.0]]


def test_a_mixture_comes_nearer_to_its_cells(tmp_path):
    X, cells, genes, kind = toy(gain=(), seed=1)
    clean, soup = X.toarray(), np.asarray(X.mean(axis=0)).ravel()
    mixed = np.random.default_rng(0).poisson(0.8 * clean + 0.2 * clean.sum(axis=1, keepdims=True) * soup / soup.sum())
    write_counts(tmp_path / "s.h5ad", sp.csr_matrix(mixed), cells, genes, {})
    counts, keep = open_counts(tmp_path / "s.h5ad"), np.arange(len(kind)) % 10 > 0
    found = correction(counts, keep, kind[keep], share=0.2)
    block = counts.matrix()[keep]
    after = np.vstack([found.apply(block[:70], 0).toarray(), found.apply(block[70:], 70).toarray()])
    before, own = block.toarray(), kind[keep] == "t_cell"
    assert after.min() >= 0 and after.sum() == pytest.approx(0.8 * before.sum(), rel=1e-5)
    column = genes.symbol.tolist().index("CD3E")
    assert after[~own, column].sum() < 0.25 * before[~own, column].sum()
    assert after[own, column].sum() > 0.9 * before[own, column].sum()
    assert found.apply(block, 0).nnz == block.nnz


@pytest.mark.parametrize(("values", "share"), [("log", 0.2), ("counts", np.nan)])
def test_without_counts_or_a_share_nothing_is_taken(tmp_path, values, share):
    X, cells, genes, kind = toy(gain=(), seed=1)
    write_counts(tmp_path / "s.h5ad", X, cells, genes, {"values": values})
    found = correction(open_counts(tmp_path / "s.h5ad"), np.ones(len(kind), bool), kind, share=share)
    assert found.share == 0 and (found.apply(X, 0) != X).nnz == 0


def test_shares_are_by_sample():
    evidence = pd.DataFrame({"sample_ambient_share": [0.1, 0.1, np.nan]}, index=["a", "b", "c"])
    found = shares(evidence, pd.Series(["S", "S", "T"], index=["a", "b", "c"]))
    assert found["S"] == 0.1 and np.isnan(found["T"])
