"""What every reader returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError

RAW_BARCODES = 50_000
"""A lane captures fewer cells; a matrix with more barcodes, most of them empty, holds every droplet."""
EMPTY_COUNTS = 100
"""Droplets with fewer counts hold ambient RNA alone; cells as poor are lost to QC anyway."""
RNA = frozenset(("", "gene", "gene expression", "gex", "rna"))
"""Kinds of features that are expression, in small letters."""
KINDS = frozenset(
    (
        "gene expression",
        "gex",
        "rna",
        "antibody capture",
        "adt",
        "crispr guide capture",
        "multiplexing capture",
        "peaks",
    )
)
"""Kinds of features that tell a column of them from one of biotypes."""

DAMAGED_HDF5 = (OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError)
"""What h5py, and a walk through what it gives, end with where bytes of a file are not what was written."""


@dataclass(frozen=True)
class Wanted:
    """What a reader may leave out, so that it need not hold what nobody asks for.

    Attributes:
        own: cells of this sample where one matrix holds many samples: barcodes and obs to a mask.
        listed: cells that the cells table or the labels list: barcodes to a mask. Cells not listed are left out only
            where the matrix holds every droplet.
        keys: barcodes of that table in its order, for a matrix that has no other list of its cells.
    """

    own: Callable[[np.ndarray, pd.DataFrame | None], np.ndarray] | None = None
    listed: Callable[[np.ndarray], np.ndarray] | None = None
    keys: np.ndarray | None = None

    def droplets(self, barcodes: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, str, bool]:
        """Mask of the droplets to read of a matrix that may hold every one, what was left out, as a clause, and whether
        cells are still to be told among them."""
        empty = totals < EMPTY_COUNTS
        if len(barcodes) < RAW_BARCODES or empty.mean() < 0.5:
            return np.ones(len(barcodes), bool), "", False
        if self.listed is not None and (mask := self.listed(barcodes)).any():
            return mask, f"{len(mask)} raw barcodes, only the {mask.sum()} that the tables list are read", False
        return ~empty, f"{len(empty)} raw barcodes, {empty.sum()} with fewer than {EMPTY_COUNTS} counts left out", True


@dataclass
class Raw:
    """One matrix as its file holds it, before any gene is renamed or any cell named.

    Attributes:
        matrix: cells × features, CSR.
        barcodes: a name for every cell, as in the file.
        names: a name for every feature.
        ids: an id for every feature ("" where there is none), or None.
        name: the file the matrix came from, for messages.
        obs: per-cell columns that the file itself carries, in cell order, or None.
        set_aside: features left out by kind (antibodies, guides), with their number.
        notes: what the reader decided, one clause each.
        caution: what its quality flag must say, or nothing.
    """

    matrix: sp.csr_matrix
    barcodes: np.ndarray
    names: np.ndarray
    ids: np.ndarray | None
    name: str
    obs: pd.DataFrame | None = None
    set_aside: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    caution: str = ""

    def cells(self, wanted: np.ndarray) -> "Raw":
        """The same with the wanted cells only (boolean, in cell order)."""
        obs = None if self.obs is None else self.obs[wanted]
        return replace(self, matrix=self.matrix[np.flatnonzero(wanted)], barcodes=self.barcodes[wanted], obs=obs)

    def features(self, wanted: np.ndarray) -> "Raw":
        """The same with the wanted features only (boolean, in feature order)."""
        ids = None if self.ids is None else self.ids[wanted]
        return replace(self, matrix=self.matrix[:, np.flatnonzero(wanted)], names=self.names[wanted], ids=ids)


def compressed(
    kind: type[sp.csr_matrix], parts: tuple[np.ndarray, np.ndarray, np.ndarray], shape: tuple[int, ...]
) -> sp.csr_matrix:
    """A CSR matrix, or another `kind`, of the values, indices and pointers that a file holds.

    SciPy trusts indices: one beyond the matrix, in a damaged file, would end the process without a word.

    Raises:
        ValueError: the parts do not make a matrix of that shape.
    """
    matrix = kind(parts, shape=shape)
    matrix.check_format()
    return matrix


def feature_kinds(columns: Mapping[str, Any]) -> np.ndarray | None:
    """The kind of every feature, where a table of them says it in the words of 10x or of open problems; None where
    it does not: in CELLxGENE's files a column of that name holds biotypes."""
    for name in ("feature_types", "feature_type"):
        if name in columns:
            kinds = np.asarray(columns[name], object)
            if {str(kind).casefold() for kind in kinds} & KINDS:
                return kinds
    return None


def rna_only(raw: Raw, kinds: np.ndarray | None) -> Raw:
    """Keep gene expression; count antibodies, guides and the like as set aside.

    Args:
        raw: a matrix with all features.
        kinds: the feature type of every feature, as 10x writes it; None where it is not known.

    Raises:
        BrainmetError: no feature is gene expression.
    """
    if kinds is None:
        return raw
    rna = np.array([str(kind).casefold() in RNA for kind in kinds], bool)
    if rna.all():
        return raw
    values, counts = np.unique(kinds[~rna].astype(str), return_counts=True)
    if not rna.any():
        raise BrainmetError(f"{raw.name}: holds no gene expression, only {', '.join(values)}; give the file that does")
    kept = raw.features(rna)
    found = zip(values.tolist(), counts.tolist(), strict=True)
    kept.set_aside = raw.set_aside | {kind: n + raw.set_aside.get(kind, 0) for kind, n in found}
    return kept
