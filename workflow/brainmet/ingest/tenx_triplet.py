"""10x triplet: matrix, barcodes and features as three files, with any prefix, old (genes.tsv) and new
(features.tsv).
"""

import re
from collections.abc import Sequence

import numpy as np

from brainmet.errors import BrainmetError
from brainmet.genes import GeneTable
from brainmet.ingest.matrix_market import read_matrix
from brainmet.ingest.members import Member, one, select
from brainmet.ingest.raw import RAW_BARCODES, Raw, Wanted, rna_only
from brainmet.ingest.text import lines

MATRIX = r"\.mtx(\.gz)?$"
BARCODES = r"barcodes?[^/]*\.(tsv|csv|txt)(\.gz)?$"
FEATURES = r"(features?|genes?)[^/]*\.(tsv|csv|txt)(\.gz)?$"
ID = re.compile(r"^(\w+[_.])?ENS[A-Z]*G\d{11}")


def read(files: Sequence[Member], *, match: str | None, genes: GeneTable, barcodes: Wanted | None) -> Raw:
    """Read one sample's triplet; a single features file that no sample's name begins serves all samples.

    Args:
        files: all files of the series.
        match: prefix of the sample's files; None when the series is one sample.
        genes: not needed here.
        barcodes: cells to keep of a matrix of every droplet.
    """
    own = select(files, match)
    among = match or "the dataset"
    matrix = one(own, MATRIX, what="matrix (.mtx)", among=among)
    cells = one(own, BARCODES, what="barcodes", among=among)
    shared = own if any(re.search(FEATURES, member.name, re.IGNORECASE) for member in own) else files
    features = one(shared, FEATURES, what="features", among=among)
    names = barcode_column(cells)
    ids, symbols, kinds = feature_columns(features)
    table = read_matrix(matrix)
    if table.shape == (len(names), len(symbols)) and len(names) != len(symbols):
        table = table.T
    if table.shape != (len(symbols), len(names)):
        raise BrainmetError(
            f"{matrix}: the matrix has {table.shape[0]} rows and {table.shape[1]} columns, but {features.name} "
            f"lists {len(symbols)} "
            f"features and {cells.name} {len(names)} barcodes; the three files do not belong together: fetch them again"
        )
    raw = Raw(matrix=table.T.tocsr(), barcodes=names, names=symbols, ids=ids, name=str(matrix))
    if len(names) >= RAW_BARCODES:
        mask, note = (barcodes or Wanted()).droplets(names, np.asarray(raw.matrix.sum(axis=1)).ravel())
        if note:
            raw = raw.cells(mask)
            raw.notes = [note]
    return rna_only(raw, kinds)


def barcode_column(member: Member) -> np.ndarray:
    """Barcodes: the first column, with or without a header."""
    rows = [line.split("\t")[0].split(",")[0].strip().strip('"') for line in lines(member)]
    if rows and rows[0].lower() in ("", "x", "barcode", "barcodes", "cell", "cell_id", "cells", "cellid"):
        rows = rows[1:]
    return np.array(rows, dtype=object)


def feature_columns(member: Member) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, symbols and kinds of features: one, two or three columns in either order, with or without a header."""
    text = lines(member)
    mark = "\t" if text and "\t" in text[0] else ","
    rows = [[part.strip().strip('"') for part in line.split(mark)] for line in text]
    if rows and rows[0][0].lower() in (
        "",
        "x",
        "gene",
        "gene_id",
        "geneid",
        "id",
        "gene_ids",
        "symbol",
        "feature",
        "features",
        "index",
    ):
        rows = rows[1:]
    width = max((len(row) for row in rows), default=1)
    columns = np.array([row + [""] * (width - len(row)) for row in rows], dtype=object).reshape(len(rows), width)
    some = columns[:: max(1, len(rows) // 1000)]
    are_ids = [width > i and len(some) > 0 and np.mean([bool(ID.match(x)) for x in some[:, i]]) > 0.3 for i in range(2)]
    if width == 1:
        return np.array([""] * len(rows), dtype=object), columns[:, 0], np.array([""] * len(rows), dtype=object)
    ids, symbols = (columns[:, 1], columns[:, 0]) if are_ids[1] and not are_ids[0] else (columns[:, 0], columns[:, 1])
    kinds = columns[:, 2] if width > 2 else np.array([""] * len(rows), dtype=object)
    known = any(kind in ("Gene Expression", "Antibody Capture") for kind in set(kinds))
    return ids, symbols, kinds if known else np.array([""] * len(rows), dtype=object)
