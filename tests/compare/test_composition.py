"""Composition against hand numbers; enriched samples take no part."""

import numpy as np
import pandas as pd
import pytest
from brainmet.compare import composition as stage
from brainmet.core.tables import conform
from scipy import stats

from tests.compare_toy import CONTRAST, DESIGN, bulk, donors


def cohort(seed: int = 0, fold: float = 4.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    obs = bulk({"s": (5, 5), "t": (4, 4)}, shift=0.0, types=("a", "b", "c"), depth=100).obs
    rise = (obs["cell_type"] == "a") & (obs["condition"] == "brain_metastasis")
    obs["n_cells"] = rng.poisson(np.where(rise, 40 * fold, 40))
    return obs


def test_log_ratios_of_a_hand_example() -> None:
    values = stage.log_ratios(pd.DataFrame({"a": [7, 4], "b": [1, 2], "c": [0, 2], "none": [0, 0]}))
    logs = np.log2([7.5, 1.5, 0.5])
    np.testing.assert_allclose(values.iloc[0, :3], logs - logs.mean())
    assert values["none"].isna().all()


def test_donors_are_read_at_the_number_of_cells_of_the_smallest() -> None:
    """Of ten cells, one of them rare, five are drawn: with or without the rare one, as often."""
    values = stage.log_ratios(pd.DataFrame({"rare": [1, 1], "other": [9, 4]})).to_numpy()
    kept = np.mean([np.log2(0.5), np.log2(1.5)])
    drawn = np.arange(10)
    other = stats.binom.pmf(drawn, 9, 0.5) @ np.log2(drawn + 0.5)
    np.testing.assert_allclose(values[0], np.array([1, -1]) * (kept - other) / 2)


def test_more_cells_in_one_arm_are_no_difference_of_composition() -> None:
    """Sixteen types of the same shares, half of them below one in a hundred; 100 cells per donor against 4,000."""
    shares = 2.0 ** -np.arange(1, 17)
    rng = np.random.default_rng(0)
    frame = donors({"s": (6, 6)})
    size = np.where(frame["condition"] == "brain_metastasis", 100, 4000)
    cells = np.array([rng.multinomial(n, rng.dirichlet(200 * shares / shares.sum())) for n in size])
    obs = frame.loc[frame.index.repeat(16)].assign(
        cell_type=np.tile([f"type{i}" for i in range(16)], 12),
        n_cells=cells.ravel(),
        enrichment="none",
        suspension="cell",
        technology="10x",
        **dict.fromkeys(("er", "pr", "her2", "dissociation", "batch", "values"), "unknown"),
    )
    table = stage.composition(obs, [CONTRAST], design=DESIGN, min_cells=50)
    rows = table[(table["study"] == "pooled") & table["effect"].notna()]
    assert len(rows) > 10
    assert not (rows["fdr"] < 0.05).any()
    assert abs(rows["difference"]).max() < 0.8


def test_a_type_that_no_donor_of_a_study_has_is_not_tested_there() -> None:
    own = pd.concat([cohort(), cohort(1).query("study == 't'").replace({"cell_type": {"a": "d"}})])
    table = stage.composition(
        own[(own["study"] == "s") | (own["cell_type"] != "a")], [CONTRAST], design=DESIGN, min_cells=50
    )
    rows = table.set_index(["cell_type", "study"])
    assert rows.loc[("a", "pooled"), "n_studies"] == rows.loc[("d", "pooled"), "n_studies"] == 1
    assert np.isnan(rows.loc[("a", "t"), "effect"]) and np.isnan(rows.loc[("d", "s"), "effect"])
    assert rows.loc[("a", "pooled"), "effect"] == rows.loc[("a", "s"), "effect"]
    assert rows.loc["a", "studies"]["pooled"] == "s" and rows.loc["b", "studies"]["pooled"] == "s;t"
    assert rows.loc["a", "reason"].to_dict() == {"pooled": "", "s": "", "t": "not scorable, or without variation"}


def test_a_donor_that_is_not_compared_thins_no_other() -> None:
    """Four donors were sampled at both sites; a fifth, at one of them, has few cells."""
    obs = cohort().query("study == 's'")
    obs["donor"] = obs["donor"].str.replace("brain_metastasis|primary", "p", regex=True)
    paired = obs[obs["donor"] != "s_p_4"]
    lonely = obs[(obs["donor"] == "s_p_4") & (obs["condition"] == "primary")].assign(n_cells=20)
    rows, more = (
        stage.composition(own, [CONTRAST], design=DESIGN, min_cells=50)[["study", "design", "difference", "effect"]]
        for own in (paired, pd.concat([paired, lonely]))
    )
    assert set(rows["design"]) == {"paired"}
    pd.testing.assert_frame_equal(rows, more)


def test_one_types_rise_is_found_and_has_the_right_size() -> None:
    table = conform(stage.composition(cohort(), [CONTRAST], design=DESIGN, min_cells=50), "composition")
    rows = table[table["study"] == "pooled"].set_index("cell_type")
    assert rows.loc["a", "fdr"] < 0.01
    # log2 4 for the type, less a third of it for the mean of three types.
    assert rows.loc["a", "difference"] == pytest.approx(2 * 2 / 3, abs=0.15)
    assert rows.loc["a", "share_a"] == pytest.approx(160 / 240, abs=0.03)


def test_enriched_samples_say_nothing() -> None:
    table = stage.composition(cohort().assign(enrichment="CD45_pos"), [CONTRAST], design=DESIGN, min_cells=50)
    assert conform(table, "composition").empty


def test_share_of_types_among_others() -> None:
    cells = pd.DataFrame({"t": [10, 1, 5], "nk": [0, 1, 5], "mac": [30, 2, 10], "tumour": [99, 99, 99]})
    parts = stage.share(cells, ["t", "nk"], ["t", "nk", "mac"], min_cells=20)
    assert parts.to_numpy().tolist() == [[10, 30], [10, 10]]
    odds = stage.log_odds(parts)
    half = [stats.binom.pmf(np.arange(n + 1), n, 0.5) @ np.log2(np.arange(n + 1) + 0.5) for n in (10, 30)]
    np.testing.assert_allclose(odds, [half[0] - half[1], 0.0], atol=1e-12)


def test_donors_are_described_as_in_every_other_contrast() -> None:
    """What all samples of a donor share, and mixed where they differ."""
    obs = cohort().query("study == 's'")
    again = obs[obs["donor"] == obs["donor"].iloc[0]].assign(subtype="HER2_pos", dissociation="cold")
    both = pd.concat([obs, again.rename(index=lambda name: f"{name}2")])
    _, described = stage.cells_of(both)
    assert described["dissociation"].value_counts().to_dict() == {"unknown": 9, "mixed": 1}
    assert described.loc[described["dissociation"] == "mixed", "subtype"].tolist() == ["mixed"]
