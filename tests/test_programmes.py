"""Programmes: planted ones are found and named, none is found in noise, order of cells and donors is nothing."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.core import tables
from brainmet.knowledge.signatures import Signature
from brainmet.programmes import Cells, Factor, Settings, _spread, gather, programmes, recurrent
from brainmet.slice import Slice

GENES = [f"G{i:03d}" for i in range(300)]
SETTINGS = Settings(ranks=(3, 4, 5), n_genes=20, min_cells=30, max_cells=500, min_detected=0.01, min_donors=3,
                    overlap_within=0.7, overlap_between=0.3, max_iter=200, seed=1)  # fmt: skip
CYCLE, HYPOXIA = slice(0, 25), slice(100, 125)
SIGNATURES = [
    Signature("cycle", tuple(GENES[CYCLE]), (), {}),
    Signature("hypoxia", tuple(GENES[HYPOXIA]), (), {}),
    Signature("neither", tuple(GENES[200:225]), (), {}),
]


def donor(number: int, *, planted: bool = True, exclude: bool = True, n: int = 120) -> Cells:
    """Cells of one donor: a third cycle, a third are hypoxic, never both; other levels are the donor's own."""
    rng = np.random.default_rng(number)
    level = np.tile(rng.lognormal(-1, 0.8, 300), (n, 1))
    if planted:
        level[: n // 3, CYCLE] += 4
        level[(n // 3 if exclude else 0) : 2 * n // 3 if exclude else n // 3, HYPOXIA] += 4
    depth = rng.lognormal(0, 0.3, n)
    counts = rng.poisson(level * depth[:, None])
    X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return Cells("A", f"D{number}", sp.csr_matrix(X), counts.sum(axis=1).astype(float), np.ones(300, bool))


@pytest.fixture(scope="module")
def found() -> tuple[pd.DataFrame, pd.DataFrame]:
    return programmes([donor(i) for i in range(4)], GENES, SIGNATURES, settings=SETTINGS)


def test_planted_programmes_are_found_and_named(found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table = found[0].set_index("signature")
    for name, genes in (("cycle", CYCLE), ("hypoxia", HYPOXIA)):
        row = table.loc[name]
        assert row["n_donors"] == 4 and row["fdr"] < 1e-6
        assert len(set(row["genes"].split(";")) & set(GENES[genes])) >= 18
    tables.conform(found[0], "programmes")


def test_programmes_that_exclude_each_other(found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    named = found[0].set_index("signature")["programme"]
    pairs = found[1].set_index(["programme_a", "programme_b"])
    row = pairs.loc[tuple(sorted((named["cycle"], named["hypoxia"])))]
    assert row["median_rho"] < -0.2 and row["share_positive"] == 0 and row["p"] == pytest.approx(2 * 0.5**4)
    tables.conform(found[1], "programme_pairs")


def test_noise_holds_no_programme() -> None:
    table, pairs = programmes([donor(i, planted=False) for i in range(5)], GENES, SIGNATURES, settings=SETTINGS)
    assert table.empty and pairs.empty


def test_order_of_donors_is_nothing(found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    again = programmes([donor(i) for i in (2, 0, 3, 1)], GENES, SIGNATURES, settings=SETTINGS)
    pd.testing.assert_frame_equal(again[0], found[0])


@pytest.mark.parametrize("cells", [[], [donor(0), donor(1)], [donor(i, n=20) for i in range(4)]])
def test_too_little_gives_headers(cells: list[Cells]) -> None:
    table, pairs = programmes(cells, GENES, SIGNATURES, settings=SETTINGS)
    assert list(table.columns) == tables.columns("programmes") and table.empty
    assert list(pairs.columns) == tables.columns("programme_pairs") and pairs.empty


def test_a_donor_counts_once_and_too_few_donors_are_no_programme() -> None:
    genes = tuple(GENES[:20])
    same = [Factor("A", f"D{d}", genes) for d in (1, 1, 2)]
    assert recurrent(same, min_donors=3, overlap=0.3, n_genes=20) == []
    (programme,) = recurrent([*same, Factor("B", "D1", genes)], min_donors=3, overlap=0.3, n_genes=20)
    assert [(f.study, f.donor) for f in programme.factors] == [("A", "D1"), ("A", "D2"), ("B", "D1")]
    assert programme.genes == genes


def test_gather_takes_malignant_cells_by_donor() -> None:
    X = sp.csr_matrix(np.arange(12, dtype=np.float32).reshape(4, 3))
    ids = np.array([f"S:{i}" for i in range(4)], dtype=object)
    part = Slice(X, np.array([True, True, False]), ids, np.array(["a", "b", "c"], dtype=object))
    annotation = pd.DataFrame(
        {
            "study": "A",
            "donor": ["D2", "D1", "D2", "D2"],
            "cell_type": ["malignant_epithelial", "malignant_glial", "t_cell", "malignant_basal"],
        },
        index=ids,
    )
    one, two = gather([part], annotation, pd.Series([1.0, 2, 3, 4], index=ids))
    assert (one.donor, two.donor) == ("D1", "D2")
    assert two.X.toarray().tolist() == [[0, 1, 2], [9, 10, 11]] and two.depth.tolist() == [1, 4]
    assert two.measured.tolist() == [True, True, False]
    assert gather([part], annotation.assign(cell_type="t_cell"), pd.Series([1.0, 2, 3, 4], index=ids)) == []


def test_rows_are_spread_evenly() -> None:
    assert _spread(3, 5).tolist() == [0, 1, 2]
    assert _spread(101, 3).tolist() == [0, 50, 100]
