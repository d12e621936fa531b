"""Composition against hand numbers; enriched samples take no part."""

import numpy as np
import pandas as pd
import pytest
from brainmet import composition as stage
from brainmet.tables import conform

from tests.compare_toy import ARMS, DESIGN, bulk


def cohort(seed: int = 0, fold: float = 4.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    obs = bulk({"s": (5, 5), "t": (4, 4)}, shift=0.0, types=("a", "b", "c"), depth=100).obs
    rise = (obs["cell_type"] == "a") & (obs["condition"] == "brain_metastasis")
    obs["n_cells"] = rng.poisson(np.where(rise, 40 * fold, 40))
    return obs


def test_log_ratios_of_a_hand_example() -> None:
    values = stage.log_ratios(pd.DataFrame({"a": [7], "b": [1], "c": [0]}) + 0)
    logs = np.log2([7.5, 1.5, 0.5])
    np.testing.assert_allclose(values.iloc[0], logs - logs.mean())


def test_one_types_rise_is_found_and_has_the_right_size() -> None:
    table = conform(stage.composition(cohort(), [ARMS], design=DESIGN, min_cells=50), "composition")
    rows = table[table["study"] == "pooled"].set_index("cell_type")
    assert rows.loc["a", "fdr"] < 0.01
    # log2 4 for the type, less a third of it for the mean of three types.
    assert rows.loc["a", "difference"] == pytest.approx(2 * 2 / 3, abs=0.15)
    assert rows.loc["a", "share_a"] == pytest.approx(160 / 240, abs=0.03)


def test_enriched_samples_say_nothing() -> None:
    table = stage.composition(cohort().assign(enrichment="CD45_pos"), [ARMS], design=DESIGN, min_cells=50)
    assert conform(table, "composition").empty


def test_share_of_types_among_others() -> None:
    cells = pd.DataFrame({"t": [10, 1], "nk": [0, 1], "mac": [30, 2], "tumour": [99, 99]})
    odds = stage.share(cells, ["t", "nk"], ["t", "nk", "mac"], min_cells=20)
    assert odds[0] == pytest.approx(np.log2(10.5 / 30.5))
    assert np.isnan(odds[1])
