"""h5ad of any anndata version: the counts are found by value among raw, layers and X."""

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest import forensics
from brainmet.ingest.raw import Raw, Request, cells_alone, compressed, feature_kinds, open_hdf5, rna_only

SYMBOLS = (
    "feature_name",
    "gene_symbol",
    "gene_symbols",
    "gene_name",
    "gene_names",
    "symbol",
    "symbols",
    "Symbol",
    "GeneSymbol",
)
IDS = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "feature_id", "ENSEMBL", "ensembl_ids")
BARCODES = ("cell_id", "barcode", "barcodes", "CellID", "obs_names", "index")
PEEK = 400
"""Cells looked at to tell what a matrix holds."""
ROWS = 1_000
"""Cells per block."""
RUN = 20
"""Adjacent cells per run when a matrix is peeked at."""


def read(request: Request) -> Raw:
    """Read an h5ad: of several matrices the one that holds counts, and of those the one with most genes; only the rows
    of the sample's cells where the matrix is stored by rows.
    """
    member = request.one(r"\.h5ad", what="h5ad")
    with open_hdf5(member, "h5ad") as file:
        if "X" not in file and ("matrix" in file or "row_attrs" in file):
            layout = "loom" if "row_attrs" in file else "tenx_h5"
            raise BrainmetError(f"{member}: is no h5ad file; set layout: {layout} in the dataset file")
        slot, content = find(file)
        obs, var = frame(file["obs"]), frame(file["raw/var"] if slot.startswith("raw/") else file["var"])
        barcodes = _barcodes(obs)
        nodes = [file[name] for name in slot.split("+")]
        rows = shape(nodes[0])[0]
        if len(barcodes) != rows:
            raise BrainmetError(
                f"{member}: {slot} has {rows} rows, but obs lists {len(barcodes)} cells; fetch the file again"
            )
        if request.names_only:
            return cells_alone(barcodes, obs, str(member))
        keep = request.cells.mask(barcodes, obs)
        first, *rest = (read_rows(node, None if keep.all() else keep) for node in nodes)
        matrix = sum(rest, start=first)
    obs, barcodes = obs[keep], barcodes[keep]
    if matrix.shape != (len(obs), len(var)):
        raise BrainmetError(
            f"{member}: {slot} has {matrix.shape[0]} rows and {matrix.shape[1]} columns, but obs lists {len(obs)} "
            f"cells and var {len(var)} genes; fetch the file again"
        )
    names, ids = _names(var)
    note = f"{slot} holds {content.kind}: {content.why}"
    raw = Raw(matrix=matrix, barcodes=barcodes, names=names, ids=ids, name=f"{member}:{slot}", obs=obs, notes=(note,))
    return rna_only(raw, feature_kinds(var))


def find(file: h5py.File) -> tuple[str, forensics.Content]:
    """The slot that holds the rawest values, or several joined by `+` that must be added, and what they are."""
    layers = list(file.get("layers", {}))
    parts = [name for name in forensics.SPLICING if name in layers] if {*forensics.SPLICING[:2]} <= {*layers} else []
    slots = [slot for slot in ("raw/X", "X") if slot in file] + [f"layers/{n}" for n in layers if n not in parts]
    if not slots:
        raise KeyError("X")
    best, content = forensics.rawest({slot: peek(file[slot]) for slot in slots})
    if parts and content.kind != "counts":
        summed = forensics.identify(sum(peek(file[f"layers/{name}"]) for name in parts))
        if summed.kind == "counts":
            return "+".join(f"layers/{name}" for name in parts), summed
    return best, content


def shape(node: h5py.Dataset | h5py.Group) -> tuple[int, int]:
    """Rows and columns of a dense or sparse matrix on disk."""
    size = node.shape if isinstance(node, h5py.Dataset) else node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
    return int(size[0]), int(size[1])


def _is_column(node: h5py.Group) -> bool:
    kind = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", "csr"))
    return "csc" in (kind.decode() if isinstance(kind, bytes) else str(kind))


def peek(node: h5py.Dataset | h5py.Group) -> sp.csr_matrix:
    """Rows spread over the matrix, enough to judge its values."""
    rows = shape(node)[0]
    step = max(1, rows // PEEK)
    if isinstance(node, h5py.Dataset):
        return sp.csr_matrix(node[::step][:PEEK])
    if _is_column(node):
        # Cells cannot be picked from columns without reading all: values of whole blocks of genes tell kinds apart,
        # totals cannot.
        return read_rows(node)[::step][:PEEK]
    indptr, data, indices = node["indptr"][:], node["data"], node["indices"]
    # Runs of neighbouring cells: every read decompresses whole blocks of the file.
    starts = np.unique(np.linspace(0, max(rows - RUN, 0), PEEK // RUN).astype(int))
    runs = [sp.csr_matrix((0, shape(node)[1]))]
    for start, stop in zip(starts, np.minimum(starts + RUN, np.append(starts[1:], rows)), strict=True):
        first, last = indptr[start], indptr[stop]
        parts = (data[first:last], indices[first:last], indptr[start : stop + 1] - first)
        runs.append(compressed(sp.csr_matrix, parts, (stop - start, shape(node)[1])))
    return sp.vstack(runs[1:] or runs, format="csr")


def read_rows(node: h5py.Dataset | h5py.Group, keep: np.ndarray | None = None) -> sp.csr_matrix:
    """The matrix as CSR, in blocks of rows; only the rows where `keep` is true, all by default."""
    size = shape(node)
    if not isinstance(node, h5py.Dataset) and (keep is None or _is_column(node)):
        parts = (node["data"][:], node["indices"][:], node["indptr"][:])
        matrix = compressed(sp.csc_matrix if _is_column(node) else sp.csr_matrix, parts, size).tocsr()
        return matrix if keep is None else matrix[np.flatnonzero(keep)]
    blocks = [sp.csr_matrix((0, size[1]), dtype=np.float32)]
    indptr = None if isinstance(node, h5py.Dataset) else node["indptr"][:]
    for start in range(0, size[0], ROWS):
        rows = slice(start, min(start + ROWS, size[0]))
        if keep is not None and not keep[rows].any():
            continue
        if indptr is None:
            block = sp.csr_matrix(node[rows])
        else:
            first, last = indptr[rows.start], indptr[rows.stop]
            parts = (node["data"][first:last], node["indices"][first:last], indptr[start : rows.stop + 1] - first)
            block = compressed(sp.csr_matrix, parts, (rows.stop - rows.start, size[1]))
        blocks.append(block if keep is None else block[np.flatnonzero(keep[rows])])
    return sp.vstack(blocks[1:] or blocks, format="csr")


def frame(node: h5py.Dataset | h5py.Group) -> pd.DataFrame:
    """obs or var with all columns as text, of any anndata version."""
    if isinstance(node, h5py.Dataset):  # Before anndata 0.7: one compound dataset.
        table = node[:]
        columns = {name: _strings(table[name]) for name in table.dtype.names}
        index = next((columns.pop(name) for name in ("index", "_index") if name in columns), None)
        return pd.DataFrame(columns, index=index)
    key = node.attrs.get("_index", "_index" if "_index" in node else "index")
    key = key.decode() if isinstance(key, bytes) else str(key)
    by_name = {name: _column(node, name) for name in node if name not in (key, "__categories")}
    length = max((len(c) for c in by_name.values() if c is not None), default=0)
    columns = {name: c for name, c in by_name.items() if c is not None and len(c) == length}
    index = _column(node, key) if key in node else None
    return pd.DataFrame(columns, index=pd.Index(index, dtype=object) if index is not None else pd.RangeIndex(length))


def _column(group: h5py.Group, name: str) -> np.ndarray | None:
    node = group[name]
    if isinstance(node, h5py.Group):
        if "categories" in node:
            return _from_codes(node["codes"][:], _strings(node["categories"][:]))
        if "values" in node:
            values, mask = (
                _strings(node["values"][:]),
                node["mask"][:] if "mask" in node else np.zeros(len(node["values"]), bool),
            )
            return np.where(mask, "", values)
        return None
    if "__categories" in group and name in group["__categories"]:
        return _from_codes(node[:], _strings(group["__categories"][name][:]))
    return _strings(node[:]) if node.ndim == 1 else None


def _from_codes(codes: np.ndarray, categories: np.ndarray) -> np.ndarray:
    padded = np.append(categories.astype(object), "")
    return padded[np.where(codes < 0, len(categories), codes)]


def _strings(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        # A lane or cluster that pandas made a float, for want of a value in some cell: 1, not 1.0.
        whole = np.array_equal(values[known], np.rint(values[known]))
        texts = values[known].astype(np.int64 if whole else values.dtype).astype(str)
        result = np.full(values.shape, "", dtype=object)
        result[known] = texts
        return result
    return np.array([x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in values], dtype=object)


def _names(var: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
    symbol = next((var[c].to_numpy() for c in SYMBOLS if c in var), None)
    ids = next((var[c].to_numpy() for c in IDS if c in var), None)
    if isinstance(var.index, pd.RangeIndex):
        if symbol is None and ids is None:
            raise KeyError("var has neither an index nor a column of gene names")
        return (symbol if symbol is not None else ids), (ids if symbol is not None else None)  # type: ignore[return-value]
    index = var.index.to_numpy()
    if symbol is not None:
        return symbol, ids if ids is not None else index
    return index, ids


def _barcodes(obs: pd.DataFrame) -> np.ndarray:
    if not isinstance(obs.index, pd.RangeIndex):
        return obs.index.to_numpy()
    column = next((c for c in BARCODES if c in obs and obs[c].is_unique), None)
    return obs[column].to_numpy() if column else np.array([str(i) for i in range(len(obs))], dtype=object)
