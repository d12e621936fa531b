"""Enrichment: gseapy on our ranking, with the right sign and the same answer every time."""

import gseapy
import numpy as np
import pandas as pd
import pytest
from brainmet.compare import gsea as stage
from brainmet.compare.donor_scores import GeneSet, log_cpm
from brainmet.compare.donors import Cohort
from brainmet.core.tables import conform

from tests.compare_toy import NULL, SET, bulk

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


def test_ties_are_no_news(capsys) -> None:
    tied = ranking(GENES).assign(stat=lambda table: table["stat"].round())
    stage.sets(tied, SETS, **HOW)
    assert capsys.readouterr().err == ""


def test_a_model_that_was_not_fitted_is_passed_on() -> None:
    de = pd.DataFrame(
        [{"symbol": "", "stat": np.nan, "cell_type": "m", "contrast": "x_vs_y", "reason": "not testable: not counts"}]
    )
    table = conform(stage.sets(de, SETS, **HOW), "gsea")
    assert table["reason"].tolist() == ["not testable: not counts"]


def test_a_ranking_in_which_no_set_can_be_tested_says_why() -> None:
    few = conform(stage.sets(ranking(GENES), [SETS[1]], **HOW), "gsea")
    assert few[["signature", "reason"]].to_numpy().tolist() == [["", "no set has 5 to 100 of the ranked genes"]]
    level = conform(stage.sets(ranking(GENES).assign(stat=1.0), SETS, **HOW), "gsea")
    assert level["reason"].tolist() == ["all genes have the same statistic: they cannot be ranked"]


def test_scores_of_donors_are_gseapys_and_find_the_group() -> None:
    data = bulk({"s": (4, 4)}, shift=2.0)
    cohort = {"malignant": Cohort(data, {}, min_cells=10)["malignant"]}
    sides = [GeneSet("both", SET.up, NULL.up)]
    limits = {"min_size": 5, "max_size": 500, "seed": 1}
    table = conform(stage.per_donor(cohort, sides, compartments=["malignant", "absent"], **limits), "donor_sets")
    assert len(table) == 16
    up = table[table["direction"] == "up"].set_index("condition")
    for score in ("ssgsea", "gsva"):
        assert up.loc["brain_metastasis", score].min() > up.loc["primary", score].max()
    profiles = cohort["malignant"]
    values = pd.DataFrame(log_cpm(profiles.counts).T, profiles.symbols.to_numpy(), profiles.donors.index)
    theirs = gseapy.ssgsea(data=values, gene_sets={"x": list(SET.up)}, outdir=None, min_size=5, seed=1, no_plot=True)
    expected = theirs.res2d.set_index("Name")["ES"].astype(float)
    found = table[table["direction"] == "up"].set_index(["donor"])["ssgsea"]
    for name, value in expected.items():
        assert found[name.split("|")[2]] == pytest.approx(value)
    few = stage.per_donor({"malignant": profiles.take(np.arange(3))}, sides, compartments=["malignant"], **limits)
    assert few["gsva"].isna().all() and few["ssgsea"].notna().all()
