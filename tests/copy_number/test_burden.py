"""Copy-number burden: planted arms, one depth, one reference."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from brainmet.compare.donors import Profiles
from brainmet.copy_number.burden import burden, shared_types

N = 2_000
"""Genes, a hundred an arm."""
PLACES = pd.DataFrame(
    {
        "symbol": [f"G{i}" for i in range(N)],
        "chromosome": np.repeat([str(c) for c in range(1, 11)], 200),
        "start": np.tile(np.repeat([1_000_000, 130_000_000], 100), 10) + np.tile(np.arange(200), 10),
    }
)


def tumours(altered: list[int], depth: list[int], *, seed: int = 0) -> tuple[Profiles, np.ndarray]:
    """Tumours with so many arms at half or one and a half of the dose, and their normal reference."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 1.0, N)
    rows = []
    for arms, total in zip(altered, depth, strict=True):
        dose = np.ones(20)
        dose[rng.permutation(20)[:arms]] = np.resize([1.5, 0.5], arms)
        rate = level * np.repeat(dose, 100)
        rows.append(rng.poisson(rate / rate.sum() * total))
    donors = pd.DataFrame({"study": "s", "organism": "human"}, index=[f"d{i}" for i in range(len(rows))])
    return Profiles(donors, PLACES["symbol"], np.array(rows, float)), rng.poisson(level * 1_000)[None].astype(float)


def test_burden_is_the_mean_shift_of_arms() -> None:
    own, normal = tumours([0, 4, 8], [4_000_000] * 3)
    found = burden(own, normal, PLACES, seed=1)
    # Half the altered arms at 1.5, half at 0.5 of the dose: 0.585 and 1 in log2.
    expected = np.array([0, 4, 8]) / 20 * (np.log2(1.5) + 1) / 2
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_depth_makes_no_difference() -> None:
    own, normal = tumours([5] * 60, [60_000] * 30 + [600_000] * 30)
    found = burden(own, normal, PLACES, seed=1).to_numpy()
    error = np.sqrt(found[:30].var(ddof=1) / 30 + found[30:].var(ddof=1) / 30)
    assert abs(found[:30].mean() - found[30:].mean()) < 3 * error


def test_shallow_tumours_are_left_out() -> None:
    own, normal = tumours([5, 5], [10_000, 100_000])
    assert list(burden(own, normal, PLACES, seed=1).index) == ["d1"]


def test_mice_have_other_chromosomes() -> None:
    own, normal = tumours([5, 5], [100_000, 100_000])
    own.donors["organism"] = ["mouse", "human"]
    assert list(burden(own, normal, PLACES, seed=1).index) == ["d1"]


@pytest.mark.parametrize(("min_cells", "rows"), [(10, 1), (40, 0)])
def test_the_reference_is_what_both_conditions_hold(min_cells: int, rows: int) -> None:
    obs = pd.DataFrame(
        [
            ("s", "primary", "t_cell", 30),
            ("s", "brain_metastasis", "t_cell", 20),
            ("s", "brain_metastasis", "neuron", 90),
            ("s", "primary", "malignant_epithelial", 90),
            ("other", "primary", "t_cell", 90),
            ("s", "primary", "t_cell", 90),
        ],
        columns=["study", "condition", "cell_type", "n_cells"],
    ).assign(values="counts", organism=["human"] * 5 + ["mouse"])
    obs.index = obs.index.astype(str)
    bulk = AnnData(np.arange(6.0)[:, None] * np.ones((6, 3)), obs)
    found = shared_types(bulk, obs.iloc[:2], min_cells=min_cells)
    assert found.tolist() == [[1.0] * 3] * rows
