"""loom: genes × cells in HDF5, names as row and column attributes (linnarssonlab.org/loompy/format)."""

import io
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest import forensics
from brainmet.ingest.members import PACKED, Member, one, select
from brainmet.ingest.raw import DAMAGED_HDF5, Raw, Wanted, feature_kinds, rna_only
from brainmet.knowledge.genes import GeneTable

GENES = ("Gene", "GeneName", "gene_name", "gene_symbol", "Symbol", "symbol", "var_names", "feature_name")
IDS = ("Accession", "gene_ids", "GeneID", "ensembl_id", "EnsemblID", "feature_id", "id")
CELLS = ("CellID", "obs_names", "cell_id", "barcode", "Barcode", "barcodes", "cell_names")
COLUMNS = 500
"""Cells read at a time."""


def read(files: Sequence[Member], *, match: str | None, genes: GeneTable, barcodes: Wanted | None) -> Raw:
    """Read a loom file in blocks of cells: its main matrix, or the layer that is nearer to counts.

    Args:
        files: all files of the series.
        match: prefix of the sample's file; None when the series is one sample.
        genes: not needed here.
        barcodes: cells of this sample; the others are not kept.
    """
    own = select(files, match)
    member = one(own, rf"\.loom{PACKED}", what="loom file", among=match or "the dataset") if len(own) > 1 else own[0]
    source: Any = io.BytesIO(member.read()) if member.packed else member.path
    try:
        with h5py.File(source) as file:
            rows, columns = _attributes(file["row_attrs"]), _attributes(file["col_attrs"])
            names = next((rows[key] for key in GENES if key in rows), None)
            ids = next((rows[key] for key in IDS if key in rows), None)
            cells = next((columns[key] for key in CELLS if key in columns), None)
            if (names is None and ids is None) or cells is None:
                what = "genes" if cells is not None else "cells"
                have = ", ".join(sorted(rows if cells is not None else columns))
                raise BrainmetError(f"{member}: has no names of {what} (there are {have}); give it as h5ad")
            obs = pd.DataFrame(columns)
            keep = np.ones(len(cells), bool)
            if barcodes is not None and barcodes.own is not None and (mask := barcodes.own(cells, obs)).any():
                keep = mask
            slot, verdict = _rawest(file)
            matrix = _matrix(file[slot], keep)
    except DAMAGED_HDF5 as error:
        raise BrainmetError(f"{member}: cannot be read as loom ({error}); fetch it again, or correct layout") from error
    named = names if names is not None else ids
    assert named is not None
    note = f"{slot} holds {verdict.kind}: {verdict.why}"
    raw = Raw(matrix, cells[keep], named, ids, f"{member}:{slot}", obs=obs[keep], notes=[note])
    return rna_only(raw, feature_kinds(rows))


def _rawest(file: h5py.File) -> tuple[str, forensics.Verdict]:
    """The matrix nearest to counts; the main one of velocyto is the sum of its layers."""
    slots = ["matrix", *(f"layers/{name}" for name in file.get("layers", {}) if name not in forensics.SPLICING)]
    return forensics.rawest({slot: sp.csr_matrix(file[slot][:, :COLUMNS].T) for slot in slots})


def _attributes(group: h5py.Group) -> dict[str, np.ndarray]:
    """One-dimensional attributes as text."""
    found = {}
    for key, node in group.items():
        if isinstance(node, h5py.Dataset) and node.ndim == 1:
            values = (x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in node[:])
            found[key] = np.array(list(values), dtype=object)
    return found


def _matrix(node: h5py.Dataset, keep: np.ndarray) -> sp.csr_matrix:
    """Cells × genes of the wanted cells."""
    blocks = [sp.csr_matrix((0, node.shape[0]), dtype=np.float32)]
    for start in range(0, node.shape[1], COLUMNS):
        wanted = np.flatnonzero(keep[start : start + COLUMNS])
        if wanted.size:
            blocks.append(sp.csr_matrix(node[:, start : start + COLUMNS].T[wanted]))
    return sp.vstack(blocks[1:] or blocks, format="csr")
