"""R objects without R: Seurat (versions 2 to 5), SingleCellExperiment, a bare matrix or a data.frame, as `saveRDS` or
`save` writes them.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.gaps import without_gaps
from brainmet.ingest.members import PACKED, Member, one, unpacked
from brainmet.ingest.r_tree import NA, RObject, Type, as_texts, read_object
from brainmet.ingest.raw import KINDS, Raw, Request, compressed, rna_only

CONVERT = (
    "write the counts in R as three files with Matrix::writeMM(as(counts, 'CsparseMatrix'), 'matrix.mtx'), "
    "writeLines(rownames(counts), 'features.tsv') and writeLines(colnames(counts), 'barcodes.tsv'), and set layout: "
    "tenx_triplet"
)
SAVE_AGAIN = "open it in R with readRDS or load, and save the object with saveRDS(object, 'object.rds')"
ENDING = rf"\.(rds|rda|rdata|robj){PACKED}"
WORKSPACE = (b"RDX2\n", b"RDX3\n")
"""First bytes of what `save` writes: one or more objects by name."""
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What comes of reading bytes that R did not write."""
ASSAYS = ("RNA", "Spatial", "SCT")
MATRICES = ("dgCMatrix", "dgRMatrix", "dgTMatrix", "dgeMatrix", "matrix")
SEURAT_2 = "seurat"
"""The class of version 2."""
SEURAT_ASSAYS = ("Assay", "Assay5", "SCTAssay")
EXPERIMENTS = ("SingleCellExperiment", "SummarizedExperiment", "RangedSummarizedExperiment")
CORRECTED = "its counts are those that SCTransform corrected for sequencing depth, not those that were measured"
NOTHING = 3
"""Rank of objects that hold no counts."""
SHOWN = 6
BARCODES = "Barcode"
"""Column in which DropletUtils' `read10xCounts` keeps barcodes: it names no cells unless told to."""
TYPES = "Type"
"""Its column of the kinds of features."""


class Labelled(NamedTuple):
    """Features × cells, and the names of both."""

    matrix: sp.csc_matrix
    features: np.ndarray
    cells: np.ndarray


class Found(NamedTuple):
    """Counts of an object.

    Attributes:
        counts: with their names.
        obs: per-cell columns in the order of the counts, or None.
        where: what part of the object they are, for the log.
        kinds: the kind of every feature, or None.
        caution: what the sample's quality flag must say, or nothing.
    """

    counts: Labelled
    obs: pd.DataFrame | None
    where: str
    kinds: np.ndarray | None = None
    caution: str = ""


def read(request: Request) -> Raw:
    """Read the counts, names and per-cell columns of an R object, as a whole."""
    member = one(request.members, ENDING, what="R object (.rds)", among=request.name)
    tree = parsed(member)
    try:
        found = _found(_only(tree, member))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        told = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise BrainmetError(
            f"{member}: no counts can be found in it ({told}); where R finds them, {CONVERT}"
        ) from error
    matrix, rows, columns = found.counts
    if len(rows) != matrix.shape[0] or len(columns) != matrix.shape[1]:
        raise BrainmetError(f"{member}: its counts have no names of genes or cells; set them in R, or {CONVERT}")
    raw = Raw(
        matrix=sp.csr_matrix(matrix.T),
        barcodes=columns,
        names=rows,
        name=str(member),
        obs=found.obs,
        notes=(found.where,),
        caution=found.caution,
    )
    return _measured(rna_only(raw, found.kinds))


def _measured(raw: Raw) -> Raw:
    """Without genes that are NA in some cell, as in other tables: merged ones have them where one lacks a gene."""
    lacking = np.isnan(raw.matrix.data)
    if not lacking.any():
        return raw
    missing = np.bincount(raw.matrix.indices[lacking], minlength=raw.matrix.shape[1])
    matrix = raw.matrix.copy()
    matrix.data[lacking] = 0
    return without_gaps(replace(raw, matrix=matrix), missing, zeros=None)


def parsed(member: Member) -> RObject:
    """The object of a file; of a workspace its objects, as a pairlist.

    Raises:
        BrainmetError: the file is damaged, or holds no object in a form that can be read.
    """
    with member.open() as packed:
        stream = unpacked(packed, member)  # Archives gzip what R has gzipped.
        if stream.peek(len(WORKSPACE[0]))[: len(WORKSPACE[0])] in WORKSPACE:
            stream.read(len(WORKSPACE[0]))
        try:
            return read_object(stream)
        except UNREADABLE as error:
            raise BrainmetError(f"{member}: cannot be read as an R object ({error}); {SAVE_AGAIN}") from error


# --- which object -----------------------------------------------------------------------------------------------------


def _class(node: RObject) -> str:
    """What R's `class` says first."""
    if "class" in node.attributes:
        return str(node.attributes["class"].value[0])
    return "matrix" if "dim" in node.attributes else node.type.name.lower()


def _rank(node: RObject) -> int:
    """How likely an object holds the counts among others: one with a table of cells, a matrix, a table, not at all."""
    name = _class(node)
    if name in ("Seurat", SEURAT_2, *SEURAT_ASSAYS, *EXPERIMENTS):
        return 0
    if name.endswith("Matrix") or name == "matrix":
        return 1
    return 2 if "data.frame" in _texts(node.attributes.get("class")) else NOTHING


def _only(tree: RObject, member: Member) -> RObject:
    """The object itself, or of a list or a workspace the one that holds counts.

    Raises:
        BrainmetError: several may.
        KeyError: none may.
    """
    if tree.type not in (Type.LIST, Type.PAIRLIST) or _rank(tree) < NOTHING:
        return tree
    objects = _by_handle(tree)
    best = min(map(_rank, objects.values()), default=NOTHING)
    likely = {handle: node for handle, node in objects.items() if _rank(node) == best}
    if len(likely) == 1:
        return _only(next(iter(likely.values())), member)
    shown = ", ".join(f"{handle} ({_class(node)})" for handle, node in list(likely.items())[:SHOWN]) or "nothing"
    if best == NOTHING:
        raise KeyError(f"it holds {shown}")
    first, opened = next(iter(likely)), "object <- readRDS(FILE)" if tree.type == Type.LIST else "load(FILE)"
    name = re.sub(r"^object|\W", "", first)
    raise BrainmetError(
        f"{member}: holds {len(likely)} objects that may be the counts: {shown}; save each in a file of its own, in R: "
        f"{opened}; saveRDS({first}, '{name}.rds')"
    )


def _by_handle(tree: RObject) -> dict[str, RObject]:
    """The objects of a workspace by name, those of a list by what gets them out of `object`."""
    if tree.type == Type.PAIRLIST:
        return tree.named()
    names = tree.attributes["names"].value if "names" in tree.attributes else [""] * len(tree.value)
    handles = [f"object[['{name}']]" if name else f"object[[{i}]]" for i, name in enumerate(names, start=1)]
    return dict(zip(handles, tree.value, strict=True))


def _found(node: RObject) -> Found:
    """The counts of an object.

    Raises:
        KeyError: it has none, and what it has.
    """
    name = _class(node)
    if name == "Seurat":
        return _seurat(node)
    if name == SEURAT_2:
        return _seurat_2(node)
    if name in SEURAT_ASSAYS:
        return Found(_assay(node, "counts"), None, f"counts of an R object of class {name}")
    if name in EXPERIMENTS:
        return _experiment(node)
    if _rank(node) == 1:
        return Found(_matrix(node), None, f"values of an R object of class {name}")
    if _rank(node) == 2:
        return Found(_counts_frame(node), None, f"values of an R object of class {name}")
    raise KeyError(f"it is an object of class {name}")


# --- matrices and tables ----------------------------------------------------------------------------------------------


def _texts(node: RObject | None) -> np.ndarray:
    value = node.value if node is not None and node.type == Type.CHARACTER else []
    return np.array(["" if text is None else text for text in value], dtype=object)


def _matrix(node: RObject) -> Labelled:
    """A matrix with its names: dgCMatrix, dgTMatrix, dgRMatrix, dgeMatrix or R's own."""
    kind, at = _class(node), node.attributes
    if kind not in MATRICES:
        raise KeyError(f"they are a matrix of class {kind}, which is not read here")
    size = tuple(int(x) for x in at["Dim" if "Dim" in at else "dim"].value)
    held = at.get("Dimnames") or at.get("dimnames")
    names = [_texts(part) for part in held.value] if held is not None else [_texts(None)] * 2
    if kind in ("dgCMatrix", "dgRMatrix"):
        parts = (at["x"].value, at["i" if kind == "dgCMatrix" else "j"].value, at["p"].value)
        matrix = compressed(sp.csc_matrix if kind == "dgCMatrix" else sp.csr_matrix, parts, size).tocsc()
    elif kind == "dgTMatrix":
        matrix = sp.csc_matrix((at["x"].value, (at["i"].value, at["j"].value)), size)
    elif kind == "dgeMatrix":
        matrix = sp.csc_matrix(at["x"].value.reshape(size, order="F"))
    else:
        matrix = sp.csc_matrix(_numbers(node).reshape(size, order="F"))
    return Labelled(matrix, names[0], names[1])


def _counts_frame(node: RObject) -> Labelled:
    """A data.frame of genes × cells; where rows are numbered, a first column of words or a factor names the genes."""
    columns, rows = node.named(), _texts(node.attributes["row.names"])
    words = [name for name, column in columns.items() if column.type == Type.CHARACTER or "levels" in column.attributes]
    if words and all(row.isdigit() for row in rows):
        rows = _column(columns[words[0]])
    values = {name: _numbers(column) for name, column in columns.items() if name not in words}
    parts = [sp.csc_matrix(column[:, None]) for column in values.values()]
    return Labelled(sp.hstack(parts, format="csc"), rows, np.array(list(values), dtype=object))


def _numbers(node: RObject) -> np.ndarray:
    """The numbers of a vector, NaN where one is missing."""
    if node.type in (Type.INTEGER, Type.LOGICAL) and (missing := node.value == NA).any():
        return np.where(missing, np.nan, node.value)
    return np.asarray(node.value)


def _frame(node: RObject) -> pd.DataFrame:
    """The columns of a data.frame or DFrame as text, by row names where it has them; tables within it are left out."""
    at = node.attributes
    columns = at["listData"].named() if "listData" in at else node.named()
    read: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        with suppress(ValueError):
            read[name] = _column(column)
    names = _texts(at.get("rownames") or at.get("row.names"))
    length = len(names) or max(map(len, read.values()), default=0)
    kept = {name: column for name, column in read.items() if len(column) == length}
    return pd.DataFrame(kept, index=names if len(names) else pd.RangeIndex(length), dtype=object)


def _column(node: RObject) -> np.ndarray:
    """A column as R prints it, empty where a value is missing.

    Raises:
        ValueError: it is no vector of texts or numbers.
    """
    at = node.attributes
    if _class(node) == "Rle":
        return np.repeat(_column(at["values"]), at["lengths"].value)
    if "levels" in at:
        levels = np.append(_texts(at["levels"]), "")
        return levels[np.where(node.value > 0, node.value, 0) - 1]
    if unit := _unit_of_time(node):
        times = pd.Series(pd.to_datetime(np.asarray(node.value, float), unit=unit))
        texts = times.dt.strftime("%Y-%m-%d" if unit == "D" else "%Y-%m-%d %H:%M:%S").fillna("")
        return texts.to_numpy(object)
    return np.array(["" if text is None else text for text in as_texts(node)], dtype=object)


def _unit_of_time(node: RObject) -> str:
    """What a date counts since 1970, days or seconds; nothing where it is none."""
    classes = set(_texts(node.attributes.get("class")))
    if node.type not in (Type.INTEGER, Type.DOUBLE):
        return ""
    return "D" if "Date" in classes else "s" if "POSIXct" in classes else ""


def _beside(obs: pd.DataFrame, cells: np.ndarray) -> pd.DataFrame | None:
    """The table of cells in the order of the counts: layers of one object need not be in the order of its table."""
    if obs.empty:
        return None
    if obs.index.is_unique and obs.index.isin(cells).sum() == len(cells):
        return obs.loc[cells].reset_index(drop=True)
    return obs.reset_index(drop=True) if len(obs) == len(cells) else None


# --- Seurat -----------------------------------------------------------------------------------------------------------


def _seurat(tree: RObject) -> Found:
    assays = tree.attributes["assays"].named()
    active = _texts(tree.attributes.get("active.assay"))
    wanted = [name for name in dict.fromkeys([*ASSAYS[:1], *active, *ASSAYS[1:], *assays]) if name in assays]
    # Where an object was relieved of its counts, the logs may still give them back.
    places = [(name, "counts") for name in wanted] + [(name, "data") for name in ASSAYS[:1] if name in assays]
    lacking = []
    for name, layer in places:
        try:
            counts = _assay(assays[name], layer)
        except KeyError as error:
            lacking.append(f"assay {name}: {error.args[0]}")
            continue
        obs = _beside(_frame(tree.attributes["meta.data"]), counts.cells)
        caution = CORRECTED if _class(assays[name]) == "SCTAssay" else ""
        return Found(counts, obs, f"{layer} of assay {name} of an R object of class Seurat", caution=caution)
    raise KeyError("; ".join(lacking) or "it has no assay")


def _seurat_2(tree: RObject) -> Found:
    """Version 2 keeps in `raw.data` cells that were filtered out; they are not in its table of cells."""
    node, obs = tree.attributes["raw.data"], _frame(tree.attributes["meta.data"])
    matrix, rows, columns = _counts_frame(node) if _rank(node) == 2 else _matrix(node)
    kept = np.isin(columns, obs.index.to_numpy(object))
    counts = Labelled(matrix[:, np.flatnonzero(kept)], rows, columns[kept])
    return Found(counts, _beside(obs, counts.cells), "raw.data of an R object of class seurat (version 2)")


def _assay(assay: RObject, layer: str) -> Labelled:
    """One layer of an assay, `counts` or `data`.

    Raises:
        KeyError: it has none.
    """
    if "layers" not in assay.attributes:  # Versions 3 and 4.
        slot = assay.attributes.get(layer)
        values = _matrix(slot) if slot is not None else None
        if values is None or not values.matrix.shape[1]:
            raise KeyError(f"the slot {layer} is empty")
        return values
    layers = assay.attributes["layers"].named()
    parts_of = {name: node for name, node in layers.items() if name == layer or name.startswith(f"{layer}.")}
    if not parts_of:
        raise KeyError(f"no layer {layer}, only {', '.join(layers)}")
    features, cells = _logmap(assay.attributes["features"]), _logmap(assay.attributes["cells"])
    parts, rows_of, columns_of = [], [], []
    for name, node in parts_of.items():
        parts.append(_matrix(node).matrix)
        rows_of.append(_of_layer(features, name))
        columns_of.append(_of_layer(cells, name))
    if len(parts) == 1:
        return Labelled(parts[0], rows_of[0], columns_of[0])
    # One layer per sample: over all features, with nothing where a layer does not list a feature.
    genes = np.array(list(dict.fromkeys(gene for rows in rows_of for gene in rows)), dtype=object)
    place = {gene: i for i, gene in enumerate(genes)}
    wide = []
    for part, rows in zip(parts, rows_of, strict=True):
        part = part.tocoo()
        moved = np.array([place[gene] for gene in rows])[part.row]
        wide.append(sp.csc_matrix((part.data, (moved, part.col)), (len(genes), part.shape[1])))
    return Labelled(sp.hstack(wide, format="csc"), genes, np.concatenate(columns_of))


def _logmap(node: RObject) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Names and, per layer, which of them it holds: the LogMap of Seurat 5, a logical matrix."""
    data = node.attributes.get(".Data", node)
    at = data.attributes if "dim" in data.attributes else node.attributes
    rows, columns = (_texts(part) for part in at["dimnames"].value)
    held = np.asarray(data.value).astype(bool).reshape(len(rows), -1, order="F")
    return rows, {str(name): held[:, i] for i, name in enumerate(columns)}


def _of_layer(names: tuple[np.ndarray, Mapping[str, np.ndarray]], layer: str) -> np.ndarray:
    return names[0][names[1][layer]] if layer in names[1] else names[0]


# --- SingleCellExperiment ---------------------------------------------------------------------------------------------


def _experiment(tree: RObject) -> Found:
    assays = tree.attributes["assays"]
    while "listData" not in assays.attributes:
        assays = assays.attributes["data"]  # Wrapped in ShallowSimpleListAssays or SimpleAssays.
    listed = assays.attributes["listData"]
    named = listed.named() if "names" in listed.attributes else {}
    if "counts" not in named and len(listed.value) != 1:
        raise KeyError(f"its assays are {', '.join(named) or 'unnamed'}, none of them counts")
    name = "counts" if "counts" in named else next(iter(named), "without a name")
    matrix, rows, columns = _matrix(named.get(name, listed.value[0]))
    obs = _frame(tree.attributes["colData"])
    if not len(columns):
        columns = _texts(tree.attributes["colData"].attributes.get("rownames"))
    if not len(columns) and BARCODES in obs and obs[BARCODES].is_unique:
        columns = obs[BARCODES].to_numpy(object)
    of_rows = _rows(tree)
    kinds = _column(of_rows[TYPES]) if TYPES in of_rows else None
    if kinds is not None and not {str(kind).casefold() for kind in kinds} & KINDS:
        kinds = None  # Biotypes, say.
    where = f"values of assay {name} of an R object of class {_class(tree)}"
    counts = Labelled(matrix, rows if len(rows) else _row_names(tree), columns)
    return Found(counts, _beside(obs, columns), where, kinds)


def _within(node: RObject | None, *slots: str) -> RObject | None:
    for slot in slots:
        node = None if node is None else node.attributes.get(slot)
    return node


def _rows(tree: RObject) -> Mapping[str, RObject]:
    """The columns of its table of features (`rowData`)."""
    for place in (("rowRanges", "elementMetadata"), ("elementMetadata",)):
        columns = _within(tree, *place, "listData")
        if columns is not None and "names" in columns.attributes:
            return columns.named()
    return {}


def _row_names(tree: RObject) -> np.ndarray:
    """Names of features where the matrix has none: of the object, or of its ranges."""
    places = (("NAMES",), ("rowRanges", "partitioning", "NAMES"), ("rowRanges", "ranges", "NAMES"))
    found = [names for place in places if len(names := _texts(_within(tree, *place)))]
    return found[0] if found else _texts(None)
