"""Sets that lack genes are named with the share that is left, worst first."""

import pandas as pd
from brainmet.ingest.gene_loss import SUFFERS, affected, with_affected


def test_sets_below_the_limit_are_named_worst_first() -> None:
    measured = set("abcdefgh")
    sets = {"whole": "abcd", "at the limit": "abcdz", "half": "abyz", "none": "yz", "empty": ""}
    assert SUFFERS == 0.8
    assert affected(measured, sets) == "none 0; half 0.5"
    assert affected(set(), {"a": "xyz"}) == "a 0"
    assert affected(measured, {"twice": "aaaaaz"}) == "twice 0.5"


def test_each_sample_is_told_what_its_own_genes_leave_out() -> None:
    lost = pd.DataFrame({"sample": ["S", "T"]}, index=[3, 4])
    table = with_affected(lost, iter(["ab", "abcd"]), signatures={"s": "abcd"}, types={"t": "cd", "u": ""})
    assert table["signatures_affected"].tolist() == ["s 0.5", ""]
    assert table["types_affected"].tolist() == ["t 0", ""]
    assert with_affected(lost.head(0), [], signatures={}, types={}).columns.tolist() == table.columns.tolist()
