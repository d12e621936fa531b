"""A second look at quality control: which types of cells it dropped.

Limits by sample can take a whole type: neutrophils are shallow, neurons rich in mitochondria. Every barcode that is not
empty is typed by its markers alone, dropped and kept ones alike, and the share that was dropped is told by type.
"""

import logging

import numpy as np
import pandas as pd

from brainmet.annotate import markers
from brainmet.annotate.marker_scores import scored, scores_of
from brainmet.contract import UNKNOWN, Obs
from brainmet.core.counts import Counts
from brainmet.core.tables import columns
from brainmet.knowledge.cell_types import CellTypes

log = logging.getLogger(__name__)

MIN_SCORE = 0.1
"""Marker score of the best type below which a barcode is of no type: debris shows none."""


def dropped(
    counts: Counts,
    cells: pd.DataFrame,
    *,
    types: CellTypes,
    options: dict[str, float],
    flag_type: float,
    min_cells: int,
) -> pd.DataFrame:
    """Share of each provisional type that quality control dropped.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        types: the resource.
        options: of the method `markers`.
        flag_type: share dropped above which a type is flagged.
        min_cells: barcodes of a type from which on it can be flagged.

    Returns:
        The columns of `dropped.tsv`, one row per type, most dropped first. Doublets do not count as dropped: they are
        dropped for what they are, not for how they look.
    """
    reason = cells[Obs.REASON].to_numpy(str)
    codes = np.array([set(text.split(";")) - {""} for text in reason], dtype=object)
    whole = np.array(["empty" not in found and "doublet" not in found for found in codes], bool)
    if not whole.any():
        return pd.DataFrame(columns=columns("dropped"))
    looked = cells.assign(**{Obs.KEEP: whole})
    scores = markers.annotate(counts, looked, types=types, **options)
    names = scored(scores, types.decided("broad"))
    values = scores_of(scores, names)
    kind = np.where(values.max(axis=1) >= MIN_SCORE, np.array(names, object)[values.argmax(axis=1)], UNKNOWN)
    # Evidence comes in the order of the counts, which is that of the cells.
    kept, why = cells[Obs.KEEP].to_numpy(bool)[whole], codes[whole]
    rows = []
    for name in sorted(set(kind)):
        of_type = kind == name
        lost = of_type & ~kept
        tally = pd.Series([code for found in why[lost] for code in sorted(found)], dtype=object).value_counts()
        share = float(lost.sum() / of_type.sum())
        flagged = bool(name != UNKNOWN and of_type.sum() >= min_cells and share > flag_type)
        main = str(tally.index[0]) if len(tally) else ""
        rows.append((cells[Obs.SAMPLE].iloc[0], name, int(of_type.sum()), int(lost.sum()), share, main, flagged))
        if flagged:
            log.warning("%.0f %% of %s dropped, most for %s", 100 * share, name, main)
    table = pd.DataFrame(rows, columns=columns("dropped"))
    return table.sort_values(["share_dropped", "provisional_type"], ascending=[False, True], ignore_index=True)
