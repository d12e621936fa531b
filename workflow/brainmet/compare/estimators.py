"""What all contrasts share: the values of donors, the names of the estimators, their order, and the design."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

POOLED = "pooled"
WITHIN, NESTED, TRANSFER = "within", "nested", "transfer"
CONFOUNDED, REFUSED, NOT_TESTABLE = "confounded", "refused", "not_testable"
RANK = {TRANSFER: 0, NESTED: 1, WITHIN: 2}
"""Estimators, weakest first: a claim names the weakest that it may rest on."""
PAIRED, MIXED_PAIRS, UNPAIRED = "paired", "mixed", "unpaired"


@dataclass(frozen=True)
class DonorValues:
    """What donors are compared by.

    Attributes:
        features: names of the values.
        of: donors that are to be compared with each other → donors × features, without the donors that have no values;
            NaN where a feature cannot be read in them.
    """

    features: pd.Index
    of: Callable[[pd.Index], pd.DataFrame]

    @classmethod
    def of_table(cls, table: pd.DataFrame) -> "DonorValues":
        """Values that do not depend on the donors that one is compared with: donors × features."""
        return cls(table.columns, lambda donors: table.loc[donors])


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


def pairing(paired: Iterable[bool]) -> str:
    """Whether donors are compared with themselves: all of them (`paired`), some (`mixed`) or none (`unpaired`)."""
    found = set(paired)
    return MIXED_PAIRS if len(found) > 1 else PAIRED if True in found else UNPAIRED


def strongest(rows: pd.DataFrame) -> Any:
    """Label of the row that decides: that of the strongest estimator, of several the one with most donors."""
    order = pd.DataFrame({"rank": rows["estimator"].map(RANK).fillna(-1), "n": rows["n_donors"].fillna(0)})
    return order.sort_values(["rank", "n"], ascending=False, kind="stable").index[0]
