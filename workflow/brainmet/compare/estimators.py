"""What all contrasts share: the names of the estimators, their order, and the design."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

POOLED = "pooled"
WITHIN, NESTED, TRANSFER = "within", "nested", "transfer"
CONFOUNDED, REFUSED, NOT_TESTABLE = "confounded", "refused", "not_testable"
RANK = {TRANSFER: 0, NESTED: 1, WITHIN: 2}
"""Estimators, weakest first: a claim names the weakest that it may rest on."""
Values = Callable[[pd.Index], pd.DataFrame]
"""Donors that are to be compared with each other → donors × features; NaN where a feature cannot be read in them."""


@dataclass(frozen=True)
class Design:
    """What every contrast shares; see `config: compare`."""

    min_donors: int
    min_studies: int
    primary_site: str
    permutations: int
    seed: int
    power: float
    alpha: float


def strongest(rows: pd.DataFrame) -> Any:
    """Label of the row that decides: that of the strongest estimator, of several the one with most donors."""
    order = pd.DataFrame({"rank": rows["estimator"].map(RANK).fillna(-1), "n": rows["n_donors"].fillna(0)})
    return order.sort_values(["rank", "n"], ascending=False, kind="stable").index[0]
