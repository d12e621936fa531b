"""What every reader is asked for, and what it returns."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.core import damage
from brainmet.errors import BrainmetError
from brainmet.ingest.members import PACKED, Member, one, select
from brainmet.knowledge.genes import GeneTable

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


class Droplets(NamedTuple):
    """The droplets to read of a matrix.

    Attributes:
        keep: mask of the droplets.
        note: what was left out, as a clause; empty where nothing was.
        unsorted: whether cells are still to be told among those that are kept.
    """

    keep: np.ndarray
    note: str = ""
    unsorted: bool = False


@dataclass(frozen=True, kw_only=True)
class CellFilter:
    """Cells that a reader may leave out, so that it need not hold what nobody asks for.

    Attributes:
        of_sample: barcodes and obs to a mask of the cells of this sample, where one matrix holds many samples.
        listed: barcodes to a mask of the cells that the cells table or the labels list. Cells not listed are left out
            only where the matrix holds every droplet.
        keys: barcodes of that table in its order, for a matrix that has no other list of its cells.
    """

    of_sample: Callable[[np.ndarray, pd.DataFrame | None], np.ndarray] | None = None
    listed: Callable[[np.ndarray], np.ndarray] | None = None
    keys: np.ndarray | None = None

    def mask(self, barcodes: np.ndarray, obs: pd.DataFrame | None) -> np.ndarray:
        """Mask of this sample's cells; of all cells where none is, so that a later message can list what there is."""
        every = np.ones(len(barcodes), bool)
        if self.of_sample is None:
            return every
        mask = self.of_sample(barcodes, obs)
        return mask if mask.any() else every

    def droplets(self, barcodes: np.ndarray, totals: np.ndarray) -> Droplets:
        """The droplets to read of a matrix that may hold every one."""
        empty = totals < EMPTY_COUNTS
        if len(barcodes) < RAW_BARCODES or empty.mean() < 0.5:
            return Droplets(np.ones(len(barcodes), bool))
        if self.listed is not None and (mask := self.listed(barcodes)).any():
            return Droplets(mask, f"{len(mask)} raw barcodes, only the {mask.sum()} that the tables list are read")
        note = f"{len(empty)} raw barcodes, {empty.sum()} with fewer than {EMPTY_COUNTS} counts left out"
        return Droplets(~empty, note, unsorted=True)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a reader is asked for: the matrix of one sample.

    Attributes:
        files: all files of the series, those of other samples too.
        match: prefix of the sample's files; None where the series is one sample, or one matrix holds many.
        genes: genes of the organism, which tell rows of genes from rows of cells.
        cells: which cells may be left out.
        names_only: whether names of cells and what the file says of them are all that is wanted; a reader that knows
            them before it reads values gives them without (see `cells_alone`).
    """

    files: Sequence[Member]
    genes: GeneTable
    match: str | None = None
    cells: CellFilter = CellFilter()
    names_only: bool = False

    @property
    def members(self) -> list[Member]:
        """The files of this sample, see `members.select`."""
        return select(self.files, self.match)

    @property
    def name(self) -> str:
        """What the sample is called in messages."""
        return self.match or "the dataset"

    def one(self, suffix: str, *, what: str) -> Member:
        """The sample's only file, or of several the one whose name has the suffix.

        Raises:
            BrainmetError: none or several have it.
        """
        members = self.members
        return members[0] if len(members) == 1 else one(members, rf"{suffix}{PACKED}", what=what, among=self.name)


@contextmanager
def open_hdf5(member: Member, what: str) -> Iterator[h5py.File]:
    """An HDF5 file of a series, also one in an archive.

    Raises:
        BrainmetError: the file is damaged or not laid out as `what` is, also where that shows while it is read.
    """
    try:
        with h5py.File(io.BytesIO(member.read()) if member.packed else member.path) as file:
            yield file
    except damage.HDF5 as error:
        raise BrainmetError(
            f"{member}: cannot be read as {what} ({error}); fetch it again, or correct layout"
        ) from error


@dataclass(frozen=True, kw_only=True)
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
    name: str
    ids: np.ndarray | None = None
    obs: pd.DataFrame | None = None
    set_aside: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    caution: str = ""

    def noted(self, *clauses: str) -> "Raw":
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *filter(None, clauses)))

    def cells(self, wanted: np.ndarray) -> "Raw":
        """The same with the wanted cells only (boolean, in cell order)."""
        obs = None if self.obs is None else self.obs[wanted]
        return replace(self, matrix=self.matrix[np.flatnonzero(wanted)], barcodes=self.barcodes[wanted], obs=obs)

    def features(self, wanted: np.ndarray) -> "Raw":
        """The same with the wanted features only (boolean, in feature order)."""
        ids = None if self.ids is None else self.ids[wanted]
        return replace(self, matrix=self.matrix[:, np.flatnonzero(wanted)], names=self.names[wanted], ids=ids)


def cells_alone(barcodes: np.ndarray, obs: pd.DataFrame | None, name: str) -> Raw:
    """The cells of a file, of which no value was read."""
    nothing = sp.csr_matrix((len(barcodes), 0), dtype=np.float32)
    return Raw(matrix=nothing, barcodes=barcodes, names=np.zeros(0, object), name=name, obs=obs)


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
    numbers = zip(values.tolist(), counts.tolist(), strict=True)
    set_aside = {**raw.set_aside, **{kind: n + raw.set_aside.get(kind, 0) for kind, n in numbers}}
    return replace(raw.features(rna), set_aside=set_aside)
