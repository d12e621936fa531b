"""R objects without R: Seurat (versions 3 to 5), SingleCellExperiment, a bare matrix or a data.frame in an `.rds` file.

rds2py turns the file into nested dictionaries of type, attributes and data; here they are walked to the counts.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.members import PACKED, Member, one
from brainmet.ingest.raw import Raw, Request, compressed

CONVERT = (
    "write it in R as three files with Matrix::writeMM(counts, 'matrix.mtx'), writeLines(rownames(counts), "
    "'features.tsv') and writeLines(colnames(counts), 'barcodes.tsv'), and set layout: tenx_triplet"
)
WORKSPACE = re.compile(r"\.(rda|rdata|robj)(\.gz)?$", re.IGNORECASE)
GZIP = b"\x1f\x8b"
ASSAYS = ("RNA", "Spatial", "SCT")


def read(request: Request) -> Raw:
    """Read the counts, names and per-cell columns of an R object, as a whole."""
    members = request.members
    if len(members) == 1 and WORKSPACE.search(members[0].name):
        raise BrainmetError(
            f"{members[0]}: is a workspace of R, not one object; save that in R with saveRDS, or {CONVERT}"
        )
    member = one(members, rf"\.rds{PACKED}", what="R object (.rds)", among=request.name)
    tree = parsed(member)
    kind = tree.get("class_name") or tree.get("type")
    try:
        if kind == "Seurat":
            matrix, rows, columns = _seurat(tree)
            obs = _frame(_slot(tree, "meta.data"))
        elif kind in ("SingleCellExperiment", "SummarizedExperiment", "RangedSummarizedExperiment"):
            matrix, rows, columns = _experiment(tree)
            obs = _frame(_slot(tree, "colData"))
        elif str(kind).endswith("Matrix") or "dim" in (tree.get("attributes") or {}):
            matrix, rows, columns = _sparse(tree)
            obs = None
        elif "data.frame" in _texts((tree.get("attributes") or {}).get("class")):
            matrix, rows, columns = _counts_frame(tree)
            obs = None
        else:
            raise KeyError(f"an object of class {kind}")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BrainmetError(f"{member}: no counts can be found in it ({error}); {CONVERT}") from error
    if obs is not None and len(obs) != matrix.shape[1]:
        obs = None
    if len(rows) != matrix.shape[0] or len(columns) != matrix.shape[1]:
        raise BrainmetError(f"{member}: its counts have no names of genes or cells; {CONVERT}")
    return Raw(
        matrix=sp.csr_matrix(matrix.T),
        barcodes=columns,
        names=rows,
        name=str(member),
        obs=obs,
        notes=(f"counts of an R object of class {kind}",),
    )


def parsed(member: Member) -> dict[str, Any]:
    """The object as nested dictionaries."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):  # The library tells what else could be installed.
        from rds2py import parse_rds

    with member.open() as stream:
        head = stream.read(2)
        if head not in (b"X\n", GZIP):
            raise BrainmetError(
                f"{member}: is not an R object that can be read here (a text or an old binary format?); {CONVERT}"
            )
        with member.path.open("rb") as disk:
            readable = not member.inside and head == b"X\n" and disk.read(2) in (b"X\n", GZIP)
        if readable:
            return _parse(parse_rds, member.path, member)
        # The library reads a path and gzip once; archives gzip the file again or hold it in a tar.
        with tempfile.NamedTemporaryFile(suffix=".rds") as plain:
            try:
                plain.write(head)
                shutil.copyfileobj(stream, plain, 1 << 22)
                plain.flush()
            except OSError as error:
                if error.errno:  # no space: not where the results are, but where temporary files go (TMPDIR)
                    error.filename = plain.name
                raise
            return _parse(parse_rds, Path(plain.name), member)


def _parse(parse_rds: Any, path: Path, member: Member) -> dict[str, Any]:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Closures and environments carry no counts.
            return dict(parse_rds(str(path)))
    except Exception as error:  # Whatever a damaged object makes of the library.
        raise BrainmetError(
            f"{member}: cannot be read without R ({' '.join(str(error).split())}); {CONVERT}"
        ) from error


# --- walking the tree -------------------------------------------------------------------------------------------------


def _slot(node: dict[str, Any], name: str) -> dict[str, Any]:
    return node["attributes"][name]


def _texts(node: dict[str, Any] | None) -> np.ndarray:
    data = (node or {}).get("data")
    return np.array([] if data is None else [str(x) for x in data], dtype=object)


def _named(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A named list."""
    names = _texts(node["attributes"]["names"])
    return dict(zip(names, node["data"], strict=True))


class Labelled(NamedTuple):
    """Features × cells, and the names of both."""

    matrix: sp.csc_matrix
    features: np.ndarray
    cells: np.ndarray


def _sparse(node: dict[str, Any]) -> Labelled:
    """A matrix with its names: dgCMatrix, dgTMatrix, dgRMatrix or a dense matrix."""
    kind, at = str(node.get("class_name")), node["attributes"]
    size = tuple(int(x) for x in (at["Dim"] if "Dim" in at else at["dim"])["data"])
    names = [_texts(part) for part in (at.get("Dimnames") or at.get("dimnames") or {"data": [{}, {}]})["data"]]
    if kind in ("dgCMatrix", "dgRMatrix"):
        index = "i" if kind == "dgCMatrix" else "j"
        parts = (np.asarray(at["x"]["data"]), np.asarray(at[index]["data"]), np.asarray(at["p"]["data"]))
        matrix = compressed(sp.csc_matrix if kind == "dgCMatrix" else sp.csr_matrix, parts, size).tocsc()
    elif kind == "dgTMatrix":
        matrix = sp.csc_matrix((np.asarray(at["x"]["data"]), (at["i"]["data"], at["j"]["data"])), size)
    elif "data" in node:
        matrix = sp.csc_matrix(np.asarray(node["data"]).reshape(size, order="F"))
    else:
        raise KeyError(f"a matrix of class {kind}")
    return Labelled(matrix, names[0], names[1])


def _counts_frame(tree: dict[str, Any]) -> Labelled:
    """A data.frame of genes × cells; where rows are numbered, a first column of words or a factor names the genes."""
    columns, rows = _named(tree), _texts(tree["attributes"]["row.names"])
    words = [
        name
        for name, column in columns.items()
        if column["type"] == "string" or "levels" in (column.get("attributes") or {})
    ]
    if words and all(row.isdigit() for row in rows):
        rows = _column(columns[words[0]])
    values = {name: np.asarray(column["data"], float) for name, column in columns.items() if name not in words}
    parts = [sp.csc_matrix(column[:, None]) for column in values.values()]
    return Labelled(sp.hstack(parts, format="csc"), rows, np.array(list(values), dtype=object))


def _seurat(tree: dict[str, Any]) -> Labelled:
    assays = _named(_slot(tree, "assays"))
    active = _texts(tree["attributes"].get("active.assay"))
    wanted = [*ASSAYS[:1], *active, *ASSAYS[1:], *assays]
    assay = assays[next(name for name in wanted if name in assays)]
    if "counts" in assay["attributes"]:  # Versions 3 and 4.
        counts = _sparse(_slot(assay, "counts"))
        if not counts.matrix.shape[1]:
            raise KeyError("the slot counts is empty")
        return counts
    layers = _named(_slot(assay, "layers"))
    of_counts = {name: node for name, node in layers.items() if name == "counts" or name.startswith("counts.")}
    if not of_counts:
        raise KeyError(f"layers {', '.join(layers)}")
    features, cells = _logmap(_slot(assay, "features")), _logmap(_slot(assay, "cells"))
    parts, rows_of, columns_of = [], [], []
    for name, node in of_counts.items():
        parts.append(_sparse(node).matrix)
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


def _logmap(node: dict[str, Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Names and, per layer, which of them it holds: the LogMap of Seurat 5, a logical matrix."""
    data = node["attributes"].get(".Data", node)
    at = data["attributes"] if "dim" in (data.get("attributes") or {}) else node["attributes"]
    rows, columns = (_texts(part) for part in at["dimnames"]["data"])
    held = np.asarray(data["data"]).astype(bool).reshape(len(rows), -1, order="F")
    return rows, {str(name): held[:, i] for i, name in enumerate(columns)}


def _of_layer(names: tuple[np.ndarray, dict[str, np.ndarray]], layer: str) -> np.ndarray:
    return names[0][names[1][layer]] if layer in names[1] else names[0]


def _experiment(tree: dict[str, Any]) -> Labelled:
    assays = _slot(tree, "assays")
    while "listData" not in (assays.get("attributes") or {}):
        assays = assays["attributes"]["data"]  # Wrapped in ShallowSimpleListAssays or SimpleAssays.
    matrices = _named(_slot(assays, "listData"))
    if "counts" not in matrices:
        raise KeyError(f"assays {', '.join(matrices)}")
    matrix, rows, columns = _sparse(matrices["counts"])
    if not len(columns):
        columns = _texts(_slot(tree, "colData")["attributes"].get("rownames"))
    if not len(rows):
        rows = _texts(tree["attributes"].get("NAMES"))
    return Labelled(matrix, rows, columns)


def _frame(node: dict[str, Any]) -> pd.DataFrame:
    """A data.frame or DFrame as text."""
    at = node["attributes"]
    columns = _named(at.get("listData", node))
    return pd.DataFrame({name: _column(column) for name, column in columns.items()})


def _column(node: dict[str, Any]) -> np.ndarray:
    at = node.get("attributes") or {}
    if "levels" in at:
        levels = np.append(_texts(at["levels"]), "")
        codes = np.nan_to_num(np.asarray(node["data"], float), nan=0).astype(int)
        return levels[codes - 1]
    return _texts(node)
