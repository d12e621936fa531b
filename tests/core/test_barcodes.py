"""Barcodes of tables and matrices in their many spellings."""

import numpy as np
import pytest
from brainmet.core.barcodes import match_rows
from brainmet.errors import BrainmetError

A, B, C = "AAACCTGAGAAACCAT", "CCCGGGTTTAAACCAT", "TTTGGGAAACCCGTAC"


def arr(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


@pytest.mark.parametrize(
    ("cells", "keys"),
    [
        ((A, B), (A, B)),
        ((f"{A}-1", f"{B}-1"), (A, B)),
        ((A, B), (f"{A}-1", f"{B}-1")),
        ((f"{A}-1", f"{B}-1"), (f"{A}.1", f"{B}.1")),
        ((f"{A}-1", f"{B}-1"), (A.lower(), B.lower())),
        ((f"{A}-1", f"{B}-1"), (f"S1_{A}", f"S1_{B}")),
        ((f"{A}-1", f"{B}-1"), (f"{A}-1_S1", f"{B}-1_S1")),
        ((f"{A}-1", f"{B}-1"), (f"integrated_S1_{A}", f"integrated_S1_{B}")),
        ((f"S1:{A}", f"S1:{B}"), (f"x_{A}-1", f"x_{B}-1")),
        (("MGH36_P1_A01", "MGH36_P1_A02"), ("MGH36.P1.A01", "mgh36-p1-a02")),
        (("GSM1", "GSM2"), (" GSM1", "GSM2 ")),
    ],
)
def test_spellings_join(cells: tuple[str, ...], keys: tuple[str, ...]) -> None:
    assert match_rows(
        arr(*cells), arr(*keys), values=arr("x", "y"), name="labels.csv", sample_names=["S1"]
    ).tolist() == [0, 1]


def test_order_and_coverage() -> None:
    rows = match_rows(arr(f"{A}-1", f"{B}-1", f"{C}-1"), arr(C, A), values=arr("x", "y"), name="labels.csv")
    assert rows.tolist() == [1, -1, 0]


def test_same_bases_in_two_lanes_are_refused() -> None:
    with pytest.raises(BrainmetError, match="ambiguous"):
        match_rows(arr(f"{A}-1", f"{A}-2"), arr(A), values=arr("x"), name="labels.csv")


def test_rows_that_agree_are_one_and_rows_that_differ_are_refused() -> None:
    assert match_rows(arr(f"{A}-1"), arr(f"s1_{A}", f"s2_{A}"), values=arr("x", "x"), name="labels.csv").tolist() == [0]
    with pytest.raises(BrainmetError, match=r"labels\.csv: no barcode .* ambiguous .*different values"):
        match_rows(arr(f"{A}-1"), arr(f"s1_{A}", f"s2_{A}"), values=arr("x", "y"), name="labels.csv")


def test_lanes_are_kept_apart_when_both_sides_name_them() -> None:
    rows = match_rows(arr(f"{A}-1", f"{A}-2"), arr(f"{A}-2", f"{A}-1"), values=arr("x", "y"), name="labels.csv")
    assert rows.tolist() == [1, 0]


def test_a_table_of_all_samples_is_not_joined_to_another_samples_cells() -> None:
    """Lanes 1 and 2 in the table, the second alone in the matrix as lane 1; one barcode is in both by chance."""
    first, second = ([f"{'ACGT'[i % 4] * 6}{'ACGT'[i // 4] * 5}{end}" for i in range(16)] for end in "AC")
    keys = arr(*(f"{b}-1" for b in [*first, second[3]]), *(f"{b}-2" for b in second))
    cells, values = arr(*(f"{b}-1" for b in second)), np.arange(len(keys)).astype(str)
    with pytest.raises(
        BrainmetError,
        match=r"m\.csv: 1 of 16 cells are in the table, but 16 in a spelling .* name its column of samples",
    ):
        match_rows(cells, keys, values=values, name="m.csv")
    # Most cells as written: those that others share are no reason.
    assert (match_rows(cells, arr(*cells[:9], *keys[17:]), values=values, name="m.csv") >= 0).sum() == 9
    # Nor are rows that carry the sample's own name, however few.
    keys = arr(f"P1_{second[0]}-1", *(f"P2_{b}-1" for b in second))
    assert (
        match_rows(cells, keys, values=np.arange(len(keys)).astype(str), name="m.csv", sample_names=["P1"]) >= 0
    ).sum() == 1


def test_no_match_is_one_sentence() -> None:
    with pytest.raises(
        BrainmetError, match=r"labels\.csv: no barcode of the table matches a cell.*begins with 'TTT.*matrix with 'AAA"
    ):
        match_rows(arr(A), arr(C), values=arr("x"), name="labels.csv")
    with pytest.raises(BrainmetError, match="0 rows"):
        match_rows(arr(A), arr(), values=arr(), name="labels.csv")
