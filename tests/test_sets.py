"""Enrichment: gseapy on our ranking, with the right sign and the same answer every time."""

import numpy as np
import pandas as pd
from brainmet import sets as stage
from brainmet.donor_scores import GeneSet
from brainmet.tables import conform

GENES = [f"g{i:03d}" for i in range(200)]
HOW = {"min_size": 5, "max_size": 100, "permutations": 200, "seed": 1}
SETS = [
    GeneSet("top", tuple(GENES[:15]), tuple(GENES[-15:])),
    GeneSet("short", tuple(GENES[:3])),
    GeneSet("mid", tuple(GENES[90:105])),
]


def ranking(order: list[str]) -> pd.DataFrame:
    stat = np.linspace(5, -5, len(order))
    about = {
        "cell_type": "malignant",
        "contrast": "x_vs_y",
        "reason": "",
        "ambient_max": np.linspace(0.5, 0, len(order)),
    }
    return pd.DataFrame({"symbol": order, "stat": stat, **about})


def test_up_and_down_genes_are_enriched_at_their_ends() -> None:
    table = conform(stage.sets(ranking(GENES), SETS, **HOW), "gsea").set_index(["signature", "direction"])
    assert table.loc[("top", "up"), "nes"] > 1.5
    assert table.loc[("top", "up"), "ambient_max"] > 0.3
    assert table.loc[("top", "up"), "ambient_flag"] and not table.loc[("top", "down"), "ambient_flag"]
    assert table.loc[("top", "down"), "nes"] < -1.5
    assert "short" not in table.index.get_level_values(0)
    assert set(table.loc[("top", "up"), "leading_edge"].split(";")) <= set(GENES[:15])


def test_the_order_of_rows_changes_nothing() -> None:
    one = stage.sets(ranking(GENES), SETS, **HOW)
    two = stage.sets(ranking(GENES).sample(frac=1, random_state=1), SETS, **HOW)
    pd.testing.assert_frame_equal(one, two)


def test_a_model_that_was_not_fitted_is_passed_on() -> None:
    de = pd.DataFrame(
        [{"symbol": "", "stat": np.nan, "cell_type": "m", "contrast": "x_vs_y", "reason": "not testable: not counts"}]
    )
    table = conform(stage.sets(de, SETS, **HOW), "gsea")
    assert table["reason"].tolist() == ["not testable: not counts"]
