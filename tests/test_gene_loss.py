"""Sets that lack genes are named with the share that is left, worst first."""

from brainmet.gene_loss import SUFFERS, affected


def test_sets_below_the_limit_are_named_worst_first() -> None:
    measured = set("abcdefgh")
    sets = {"whole": "abcd", "at the limit": "abcdz", "half": "abyz", "none": "yz", "empty": ""}
    assert SUFFERS == 0.8
    assert affected(measured, sets) == "none 0; half 0.5"
    assert affected(set(), {"a": "xyz"}) == "a 0"
    assert affected(measured, {"twice": "aaaaaz"}) == "twice 0.5"
