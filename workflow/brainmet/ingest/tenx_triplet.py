"""10x triplet: matrix, barcodes and features as three files, with any prefix, old (genes.tsv) and new
(features.tsv).

Counts that kb-python writes in parts (mature and nascent, or spliced and unspliced, and what may be either) are added:
together they are what cellranger counts.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.droplets import only_cells
from brainmet.ingest.matrix_market import read_matrix
from brainmet.ingest.members import PACKED, Member, one
from brainmet.ingest.raw import RAW_BARCODES, CellFilter, Raw, Request, rna_only
from brainmet.ingest.text import lines

MATRIX = rf"\.mtx{PACKED}"
PLAIN = rf"(^|[^a-z])matrix\.mtx{PACKED}"
"""cellranger's name, and STARsolo's for what it counts beside what it estimates."""
TABLE = rf"\.(tsv|csv|txt){PACKED}"
BARCODES = (
    rf"barcodes?{TABLE}",
    rf"barcodes?[^/]*{TABLE}",
    rf"(^|[^a-z])(cells?|cell_?(ids?|names?|meta_?data)|col_?names?|columns?|quants_mat_rows){TABLE}",
)
FEATURES = (
    rf"(features?|genes?|quants_mat_cols){TABLE}",
    rf"(^|[^a-z])(gene_?(ids?|names?|list|symbols?)|row_?names?|rows?|var_?names?){TABLE}",
    rf"(features?|genes?)(?![^/]*(barcodes?|cells?){TABLE})[^/]*{TABLE}",
)
"""Names that the files go by, the plainest first."""
HEADER = re.compile(
    r"^(|x|v1|index|ids?|barcodes?|symbols?|(cell|gene|feature)s?"
    r"|(cell|gene|feature)[_. ]?(ids?|names?|symbols?|barcodes?)|bc_wells)$",
    re.IGNORECASE,
)
"""What the first line of a list may say when it is a header; nobody's barcode, and no gene's name."""
TABLE_OF_CELLS = "the table of cells or labels"
PART = re.compile(r"(?:^|[._-])(spliced|unspliced|ambiguous|mature|nascent)(?=[._-])", re.IGNORECASE)
"""Words for a part of the counts in a file's name."""
TOTAL = re.compile(r"[._-]total\.mtx", re.IGNORECASE)
ID = re.compile(r"^(\w+[_.])?ENS[A-Z]*G\d{11}")


def read(request: Request) -> Raw:
    """Read one sample's triplet; a single features file that no sample's name begins serves all samples."""
    members = request.members
    parts = _matrices(members, among=request.name)
    triplets = [_triplet(matrix, _beside(matrix, members, parts), request) for matrix in parts]
    raw, kinds = triplets[0] if len(triplets) == 1 else _added([raw for raw, _ in triplets], triplets[0][1])
    return rna_only(_without_empty(raw, request.cells), kinds)


def _without_empty(raw: Raw, cells: CellFilter) -> Raw:
    """The cells of a matrix that may hold every droplet."""
    if len(raw.barcodes) < RAW_BARCODES:
        return raw
    droplets = cells.droplets(raw.barcodes, np.asarray(raw.matrix.sum(axis=1)).ravel())
    if not droplets.note:
        return raw
    kept = raw.cells(droplets.keep).noted(droplets.note)
    if not droplets.unsorted:
        return kept
    return only_cells(kept, raw.matrix.T @ (~droplets.keep).astype(np.float64))


def _matrices(members: Sequence[Member], *, among: str) -> list[Member]:
    """The sample's matrix, or the parts whose sum it is where there is no total."""
    matrices = [member for member in members if re.search(MATRIX, member.name, re.IGNORECASE)]
    parts = [member for member in matrices if PART.search(member.name)]
    if len(parts) < 2:
        return [one(members, PLAIN, MATRIX, what="matrix (.mtx)", among=among)]
    whole = [member for member in matrices if member not in parts]
    totals = [member for member in whole if TOTAL.search(member.name)] or whole
    if len(totals) > 1:
        one(totals, MATRIX, what="matrix (.mtx)", among=among)
    return totals or sorted(parts, key=lambda member: member.name)


def _beside(matrix: Member, members: Sequence[Member], parts: Sequence[Member]) -> list[Member]:
    """The sample's files less those of other parts."""
    word = PART.search(matrix.name)
    if word is None or len(parts) < 2:
        return list(members)
    words = [(member, PART.search(member.name)) for member in members]
    return [member for member, other in words if other is None or other[1].lower() == word[1].lower()]


def _triplet(matrix: Member, members: Sequence[Member], request: Request) -> tuple[Raw, np.ndarray]:
    """One matrix with its lists, and the kind of each feature."""
    list_of_cells, names = _barcodes(_near(matrix, members, BARCODES), request.cells, among=request.name)
    listed = any(_fits(member, FEATURES) for member in members)
    candidates = _near(matrix, members, FEATURES) if listed else request.files
    features = one(candidates, *FEATURES, what="features", among=request.name)
    ids, symbols, kinds = feature_columns(features)
    table = read_matrix(matrix)
    if table.shape == (len(names), len(symbols)) and len(names) != len(symbols):
        table = table.T
    if table.shape != (len(symbols), len(names)):
        raise BrainmetError(
            f"{matrix}: the matrix has {table.shape[0]} rows and {table.shape[1]} columns, but {features.name} "
            f"lists {len(symbols)} features and {list_of_cells} {len(names)} barcodes; these files do not belong "
            "together: fetch them again"
        )
    raw = Raw(matrix=table.T.tocsr(), barcodes=names, names=symbols, ids=ids, name=str(matrix))
    if list_of_cells == TABLE_OF_CELLS:
        raw = raw.noted(f"no list of barcodes: the cells are taken to be those of {TABLE_OF_CELLS}, in its order")
    return raw, kinds


def _fits(member: Member, patterns: Sequence[str]) -> bool:
    return any(re.search(pattern, member.name, re.IGNORECASE) for pattern in patterns)


def _near(matrix: Member, members: Sequence[Member], patterns: Sequence[str]) -> Sequence[Member]:
    """The files of a kind in the matrix's folder; all files where there are none."""
    return [member for member in members if member.folders == matrix.folders and _fits(member, patterns)] or members


def _added(parts: Sequence[Raw], kinds: np.ndarray) -> tuple[Raw, np.ndarray]:
    """The sum of matrices over the same features; cells of any of them, in the order they come.

    Raises:
        BrainmetError: the parts list different features.
    """
    first = parts[0]
    if other := next((raw for raw in parts if not np.array_equal(raw.names, first.names)), None):
        raise BrainmetError(
            f"{first.name} and {other.name}: parts of one count matrix that list different features; give one of them"
        )
    cells = pd.Index(dict.fromkeys(barcode for raw in parts for barcode in raw.barcodes), dtype=object)
    total = sp.csr_matrix((len(cells), len(first.names)), dtype=first.matrix.dtype)
    for raw in parts:
        at = cells.get_indexer(pd.Index(raw.barcodes, dtype=object))
        place = sp.csr_matrix((np.ones(len(at), raw.matrix.dtype), (at, np.arange(len(at)))), (len(cells), len(at)))
        total = total + place @ raw.matrix
    note = f"the sum of {', '.join(raw.name for raw in parts)}"
    barcodes = cells.to_numpy(object)
    return Raw(matrix=total, barcodes=barcodes, names=first.names, ids=first.ids, name=first.name, notes=(note,)), kinds


def _barcodes(members: Sequence[Member], cells: CellFilter, *, among: str) -> tuple[str, np.ndarray]:
    """The list of cells and where it stands; a table of the cells stands for it where there is no other."""
    if cells.keys is not None and not any(_fits(member, BARCODES) for member in members):
        return TABLE_OF_CELLS, cells.keys
    member = one(members, *BARCODES, what="barcodes", among=among)
    return member.name, barcode_column(member)


def barcode_column(member: Member) -> np.ndarray:
    """Barcodes: the first column without repeats, behind row numbers where there are any, with or without a header.
    Where all repeat, as samples and barcodes side by side do, the columns joined by `_`."""
    rows = [[part.strip().strip('"') for part in re.split(r"[\t,]", line)] for line in lines(member)]
    if rows and HEADER.match(rows[0][0]):
        rows = rows[1:]
    columns = [list(column) for column in zip(*_without_row_numbers(rows), strict=False)]
    unique = [column for column in columns if len(set(column)) == len(rows)]
    if len(columns) > 1 and not unique:
        unique = [["_".join(row) for row in zip(*columns, strict=True)]]
    return np.array((unique or columns or [[]])[0], dtype=object)


def _without_row_numbers(rows: list[list[str]]) -> list[list[str]]:
    """Rows without a first column that counts them, from 0 or 1: R and pandas write it in front."""
    first = [row[0] for row in rows if len(row) > 1]
    counts = len(rows) > 1 and first in ([str(i) for i in range(k, k + len(rows))] for k in (0, 1))
    return [row[1:] for row in rows] if counts else rows


def feature_columns(member: Member) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, symbols and kinds of features: one, two or three columns in either order, with or without a header."""
    text = lines(member)
    mark = "\t" if text and "\t" in text[0] else ","
    rows = [[part.strip().strip('"') for part in line.split(mark)] for line in text]
    # A gene without a symbol is no header.
    if rows and any(HEADER.match(part) for part in rows[0][:2]) and not any(ID.match(part) for part in rows[0]):
        rows = rows[1:]
    table = pd.DataFrame(_without_row_numbers(rows), dtype=object).fillna("")
    ids, symbols, kinds = table.reindex(columns=range(3), fill_value="").to_numpy(object).T
    if table.shape[1] < 2 or (_are_ids(symbols) and not _are_ids(ids)):
        ids, symbols = symbols, ids
    known = not {"Gene Expression", "Antibody Capture"}.isdisjoint(kinds)
    return ids, symbols, kinds if known else np.full(len(kinds), "", dtype=object)


def _are_ids(column: np.ndarray) -> bool:
    """Whether a column holds Ensembl ids, by some of its rows."""
    some = column[:: max(1, len(column) // 1000)]
    return len(some) > 0 and float(np.mean([bool(ID.match(text)) for text in some])) > 0.3
