"""Values that a table lacks: blanks and NA, in text, workbooks and parquet alike."""

import numpy as np

from brainmet.errors import BrainmetError
from brainmet.ingest.raw import Raw

MOST_LACKING = 0.5
"""Share of genes without a value in some cell above which a table is refused."""
LOWEST = 1.0
"""Values of a table that leaves its zeros blank begin here or below, as counts, TPM and logs of them do. Intensities of
arrays, which hold no zeros either, begin higher: what they lack was not measured."""


def without_gaps(raw: Raw, missing: np.ndarray, *, zeros: int | None) -> Raw:
    """The table without genes that are not measured in every cell, as `na.omit` of R leaves it; or, where a table of
    counts writes no zero, with its blanks as zeros.

    Args:
        raw: cells × genes, where nothing is stored for what is missing.
        missing: number of missing values of each gene.
        zeros: number of zeros that the table writes; None where a blank cannot be one.

    Raises:
        BrainmetError: more than half of the genes would be left out.
    """
    lacking = missing > 0
    if not lacking.any():
        return raw
    if zeros == 0 and raw.matrix.nnz and 0 < raw.matrix.data.min() <= LOWEST:
        return raw.noted("a blank or NA is a zero: the table writes no zero")
    if lacking.mean() > MOST_LACKING:
        raise BrainmetError(
            f"{raw.name}: {lacking.sum()} of {len(lacking)} genes have no value in some cell (such as "
            f"{raw.names[lacking][0]}); write 0 where a blank means zero, take the cells that lack them out of the "
            "file, or split it with split_by"
        )
    return raw.features(~lacking).noted(f"{lacking.sum()} genes without a value in every cell left out")
