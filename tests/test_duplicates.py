"""The same cells under two names are found, and cells that merely look alike are not."""

import logging

import numpy as np
import pandas as pd
import pytest
from brainmet.contract import CELL_ID
from brainmet.duplicates import PROFILE, cohort_only, superfluous
from brainmet.duplicates import duplicates as found


def duplicates(cells: pd.DataFrame, *, drop: bool = True) -> pd.DataFrame:
    return found(cells, drop=drop)


def sample(name: str, seed: int, n: int = 500, *, study: str = "A", suffix: str = "-1") -> pd.DataFrame:
    """Barcodes of a whitelist of 100,000, totals and genes as of cells."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(100_000, n, replace=False)
    codes = ["".join("ACGT"[k // 4**i % 4] for i in range(12)) + suffix for k in numbers]
    total = np.rint(rng.lognormal(8, 0.7, n))
    frame = pd.DataFrame({"sample": name, "study": study, "total_counts": total})
    frame["n_genes_by_counts"] = np.rint(total**0.8)
    frame["pct_counts_mt"], frame["pct_counts_in_top_50_genes"] = rng.uniform(0, 20, n), rng.uniform(20, 60, n)
    frame.index = pd.Index([f"{name}:{code}" for code in codes], name=CELL_ID)
    return frame


def renamed(frame: pd.DataFrame, name: str, codes: list[str] | None = None, *, study: str = "B") -> pd.DataFrame:
    codes = codes or [id_.split(":")[1] for id_ in frame.index]
    return frame.assign(sample=name, study=study).set_index(pd.Index([f"{name}:{c}" for c in codes], name=CELL_ID))


def test_independent_samples_share_nothing() -> None:
    assert duplicates(pd.concat([sample(f"S{i}", i) for i in range(4)])).empty


def test_barcodes_named_alike_are_no_duplicates() -> None:
    """A file that numbers its cells has every barcode in every sample."""
    parts = [renamed(sample(f"S{i}", i), f"S{i}", [f"cell{k}" for k in range(500)]) for i in range(3)]
    assert duplicates(pd.concat(parts)).empty


def test_the_same_cells_with_another_annotation(caplog: pytest.LogCaptureFixture) -> None:
    first = sample("GSE1_P1", 0)
    again = renamed(first, "GSE2_x", [f"x_{id_.split(':')[1][:-2]}" for id_ in first.index]).iloc[:300]
    again["total_counts"] = np.rint(again["total_counts"] * 1.03)
    again["n_genes_by_counts"] = np.rint(again["n_genes_by_counts"] * 0.98)
    with caplog.at_level(logging.WARNING):
        table = duplicates(pd.concat([first, again, sample("S3", 3)]))
    row = table.iloc[0]
    assert len(table) == 1 and (row["sample_a"], row["sample_b"], row["how"]) == ("GSE1_P1", "GSE2_x", "barcodes")
    assert row["n_shared"] == 300 and row["share"] == 1.0 and row["exclude"] == "GSE2_x"
    assert row["left_out"] == "GSE2_x" and "GSE2_x is the one to leave out: it is left out of the cohort" in caplog.text


def test_the_same_matrix_under_other_names() -> None:
    first = sample("A", 0)
    again = renamed(first, "B", [f"cell{i}" for i in range(len(first))])
    table = duplicates(pd.concat([first, again]).sample(frac=1, random_state=0))
    assert table[["sample_a", "sample_b", "how", "n_shared", "exclude"]].to_numpy().tolist() == [
        ["A", "B", "profiles", 500, "B"]
    ]


def test_a_few_shared_cells_are_not_reported() -> None:
    first, second = sample("A", 0), sample("B", 1)
    mixed = pd.concat([second.iloc[:400], renamed(first.iloc[:100], "B", study="A")])
    assert duplicates(pd.concat([first, mixed])).empty


def test_empty_barcodes_do_not_count() -> None:
    first = sample("A", 0)
    empty = renamed(first, "B").assign(**dict.fromkeys(PROFILE, 0.0))
    assert duplicates(pd.concat([first, empty])).empty


def test_both_may_be_kept_and_are_named(caplog: pytest.LogCaptureFixture) -> None:
    cells = pd.concat([sample("A", 0), renamed(sample("A", 0), "B")])
    table = duplicates(cells, drop=False)
    assert table[["exclude", "left_out"]].to_numpy().tolist() == [["B", ""]]
    assert "add exclude: [B]" in caplog.text


def test_the_largest_is_kept_and_nothing_is_left_out_for_what_is_left_out() -> None:
    sizes = {"A": 100, "B": 80, "C": 60, "D": 80}
    assert superfluous([("A", "B"), ("B", "C")], sizes) == {"B"}
    assert superfluous([("B", "D")], sizes) == {"D"}
    assert superfluous([("A", "B"), ("B", "C"), ("A", "C")], sizes) == {"B", "C"}
    assert superfluous([], sizes) == set()


def test_the_cohort_is_what_is_not_left_out() -> None:
    first = sample("A", 0)
    cells = pd.concat([first, renamed(first.iloc[:400], "B"), sample("C", 2)])
    kept = cohort_only(cells, duplicates(cells))
    assert set(kept["sample"]) == {"A", "C"} and len(kept) == 1000
    assert len(cohort_only(cells, duplicates(cells, drop=False))) == len(cells)


def test_order_of_the_samples_changes_nothing() -> None:
    first = sample("A", 0)
    parts = [first, renamed(first.iloc[:400], "B"), renamed(first.iloc[100:450], "C"), sample("D", 4)]
    one, other = duplicates(pd.concat(parts)), duplicates(pd.concat(parts[::-1]))
    pd.testing.assert_frame_equal(one, other)
    assert set(one["left_out"]) == {"B", "C"}
