"""Files that annotation methods read, by the names in their REQUIRES."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from brainmet.contract import CELL_ID, Obs, Var
from brainmet.core import tables

CELL_COLUMNS = (
    Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE,
    Obs.TOTAL_COUNTS, Obs.DOUBLET_SCORE, Obs.KEEP, Obs.REASON,
)  # fmt: skip


def read_input(name: str, paths: str | Sequence[str], *, without: str | None = None) -> Any:
    """What a method gets under a name: counts of a sample, the cell types, a table, or the evidence of another method.

    Tables of several samples come joined in the order of the paths, kept cells only.

    Args:
        name: one of those in a method's REQUIRES.
        paths: the files.
        without: columns of evidence that match this pattern are not read.
    """
    many = [paths] if isinstance(paths, str) else list(paths)
    if name == "counts":
        from brainmet.core.counts import open_counts

        return open_counts(many[0])
    if name == "types":
        from brainmet.knowledge.cell_types import load_cell_types

        return load_cell_types(many)
    if name == "slices":
        from brainmet.slice import read_slices

        return read_slices(many, informative=True)
    if name == "neighbors":
        from brainmet.core.neighbors import load

        return load(many[0])[0]
    if name == "features":
        features = tables.read_table(many[0], "features", columns=[Var.ENSEMBL, Var.SYMBOL, "informative"])
        return features[features["informative"]]
    if name == "clusters":
        return tables.read_table(many[0], "clusters", columns=[Obs.CLUSTER])[Obs.CLUSTER]
    if name == "cells":
        return pd.concat([tables.read_table(path, "cells", columns=list(CELL_COLUMNS)) for path in many])
    return pd.concat([_evidence(path, without) for path in many])


def _evidence(path: str, without: str | None) -> pd.DataFrame:
    if without is None:
        return tables.read_table(path, "evidence")
    wanted = [column for column in tables.names_in(path) if column != CELL_ID and not re.match(without, column)]
    return tables.read_table(path, "evidence", columns=wanted)


def kept(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells that passed QC."""
    return cells[cells[Obs.KEEP].to_numpy(bool)]
