"""loom: genes × cells in HDF5, names as row and column attributes (linnarssonlab.org/loompy/format)."""

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest import forensics
from brainmet.ingest.raw import Raw, Request, cells_alone, feature_kinds, open_hdf5, rna_only

GENES = ("Gene", "GeneName", "gene_name", "gene_symbol", "Symbol", "symbol", "var_names", "feature_name")
IDS = ("Accession", "gene_ids", "GeneID", "ensembl_id", "EnsemblID", "feature_id", "id")
CELLS = ("CellID", "obs_names", "cell_id", "barcode", "Barcode", "barcodes", "cell_names")
COLUMNS = 500
"""Cells read at a time."""


def read(request: Request) -> Raw:
    """Read a loom file in blocks of cells: its main matrix, or the layer that is nearer to counts; the sample's cells
    alone are kept.
    """
    member = request.one(r"\.loom", what="loom file")
    with open_hdf5(member, "loom") as file:
        rows, columns = _attributes(file["row_attrs"]), _attributes(file["col_attrs"])
        names = next((rows[key] for key in (*GENES, *IDS) if key in rows), None)
        ids = next((rows[key] for key in IDS if key in rows), None)
        barcodes = next((columns[key] for key in CELLS if key in columns), None)
        if names is None or barcodes is None:
            what = "genes" if barcodes is not None else "cells"
            have = ", ".join(sorted(rows if barcodes is not None else columns))
            raise BrainmetError(f"{member}: has no names of {what} (there are {have}); give it as h5ad")
        obs = pd.DataFrame(columns)
        if request.names_only:
            return cells_alone(barcodes, obs, str(member))
        keep = request.cells.mask(barcodes, obs)
        slot, content = _rawest(file)
        matrix = _matrix(file[slot], keep)
    raw = Raw(
        matrix=matrix,
        barcodes=barcodes[keep],
        names=names,
        ids=ids,
        name=f"{member}:{slot}",
        obs=obs[keep],
        notes=(f"{slot} holds {content.kind}: {content.why}",),
    )
    return rna_only(raw, feature_kinds(rows))


def _rawest(file: h5py.File) -> tuple[str, forensics.Content]:
    """The matrix nearest to counts; the main one of velocyto is the sum of its layers."""
    slots = ["matrix", *(f"layers/{name}" for name in file.get("layers", {}) if name not in forensics.SPLICING)]
    return forensics.rawest({slot: sp.csr_matrix(file[slot][:, :COLUMNS].T) for slot in slots})


def _attributes(group: h5py.Group) -> dict[str, np.ndarray]:
    """One-dimensional attributes as text."""
    attributes = {}
    for key, node in group.items():
        if isinstance(node, h5py.Dataset) and node.ndim == 1:
            values = (x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in node[:])
            attributes[key] = np.array(list(values), dtype=object)
    return attributes


def _matrix(node: h5py.Dataset, keep: np.ndarray) -> sp.csr_matrix:
    """Cells × genes of the wanted cells."""
    blocks = [sp.csr_matrix((0, node.shape[0]), dtype=np.float32)]
    for start in range(0, node.shape[1], COLUMNS):
        wanted = np.flatnonzero(keep[start : start + COLUMNS])
        if wanted.size:
            blocks.append(sp.csr_matrix(node[:, start : start + COLUMNS].T[wanted]))
    return sp.vstack(blocks[1:] or blocks, format="csr")
