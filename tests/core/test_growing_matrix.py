"""The matrix that grows: what was appended is read back, whatever the blocks, the threads and the level."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from anndata.io import read_elem
from brainmet.core import growing_matrix
from brainmet.core.growing_matrix import GrowingMatrix


@pytest.mark.parametrize("level", [1, 6])
@pytest.mark.parametrize("block", [7, 100])
def test_appended_blocks_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, level: int) -> None:
    monkeypatch.setattr(growing_matrix, "CHUNK", 16)
    X = sp.random_array((100, 30), density=0.2, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    with h5py.File(tmp_path / "m.h5", "w") as file, ThreadPoolExecutor(2) as pool:
        own = GrowingMatrix(file.create_group("own"), 30, level, pool, shuffle=False)
        other = GrowingMatrix(file.create_group("other"), 30, level, pool, shares=True)
        for start in range(0, 100, block):
            own.append(X[start : start + block])
            other.append(2 * X[start : start + block])
        own.close()
        other.close()
        for name in ("indices", "indptr"):
            file["other"][name] = file["own"][name]
        assert file["own/indptr"].dtype == np.int64 and file["own/data"].chunks == (16,)
        for name, expected in (("own", X), ("other", 2 * X)):
            found = read_elem(file[name])
            np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_a_matrix_without_cells(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file, ThreadPoolExecutor(1) as pool:
        matrix = GrowingMatrix(file.create_group("X"), 3, 1, pool)
        matrix.close()
        assert read_elem(file["X"]).shape == (0, 3)
