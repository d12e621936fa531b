"""10x Genomics HDF5: v2 (one group per genome) and v3 (matrix/features), several genomes; antibodies are set aside."""

from collections.abc import Iterator

import h5py
import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.droplets import only_cells
from brainmet.ingest.members import Member
from brainmet.ingest.raw import RAW_BARCODES, CellFilter, Droplets, Raw, Request, compressed, open_hdf5, rna_only


def read(request: Request) -> Raw:
    """Read one sample's 10x `.h5` (also gzipped, also inside a tar); of a matrix of every droplet only those that may
    be cells are ever in memory.
    """
    member = request.one(r"(?<!molecule_info)\.(h5|hdf5)", what="10x file (.h5)")
    with open_hdf5(member, "a 10x HDF5 file") as file:
        if "X" in file or "row_attrs" in file:
            layout = "h5ad" if "X" in file else "loom"
            raise BrainmetError(f"{member}: is no 10x HDF5 file; set layout: {layout} in the dataset file")
        if "matrix" in file:
            raw, kinds = _v3(file["matrix"], member, request.cells)
        else:
            raw, kinds = _v2(file, member, request.cells)
    return rna_only(raw, kinds)


def _v3(group: h5py.Group, member: Member, cells: CellFilter) -> tuple[Raw, np.ndarray]:
    features = group["features"]
    names, ids = (_text(features[key]) for key in ("name", "id"))
    kinds = _text(features["feature_type"]) if "feature_type" in features else np.array([""] * len(names), dtype=object)
    return _raw([group], _text(group["barcodes"]), names, ids, member, cells), kinds


def _v2(file: h5py.File, member: Member, cells: CellFilter) -> tuple[Raw, np.ndarray]:
    genomes = [group for group in file.values() if isinstance(group, h5py.Group) and "gene_names" in group]
    if not genomes:
        raise KeyError("neither the group matrix nor a group with gene_names")
    barcodes = _text(genomes[0]["barcodes"])
    if any(not np.array_equal(barcodes, _text(group["barcodes"])) for group in genomes):
        raise BrainmetError(
            f"{member}: its genomes ({', '.join(group.name.strip('/') for group in genomes)}) list different barcodes; "
            "give the raw matrix of the run, whose genomes list the same, or the folder of one genome as tenx_triplet"
        )
    names = np.concatenate([_text(group["gene_names"]) for group in genomes])
    ids = np.concatenate([_text(group["genes"]) for group in genomes])
    return _raw(genomes, barcodes, names, ids, member, cells), np.array([""] * len(names), dtype=object)


def _raw(
    groups: list[h5py.Group],
    barcodes: np.ndarray,
    names: np.ndarray,
    ids: np.ndarray,
    member: Member,
    cells: CellFilter,
) -> Raw:
    """Read whole, or in two passes where most barcodes are empty: totals, then the rows of cells."""
    droplets = Droplets(np.ones(len(barcodes), bool))
    if len(barcodes) >= RAW_BARCODES:
        totals = np.zeros(len(barcodes))
        for group in groups:
            for start, block in _blocks(group):
                totals[start : start + block.shape[0]] += np.asarray(block.sum(axis=1)).ravel()
        droplets = cells.droplets(barcodes, totals)
    parts, ambient = [], []
    for group in groups:
        rows, empty = [], np.zeros(int(group["shape"][0]))
        for start, block in _blocks(group):
            keep = droplets.keep[start : start + block.shape[0]]
            rows.append(block[keep])
            if droplets.unsorted:
                empty += block.T @ (~keep).astype(np.float64)
        parts.append(sp.vstack(rows, format="csr") if len(rows) > 1 else rows[0])
        ambient.append(empty)
    matrix = sp.hstack(parts, format="csr") if len(parts) > 1 else parts[0]
    raw = Raw(matrix=matrix, barcodes=barcodes[droplets.keep], names=names, ids=ids, name=str(member))
    raw = raw.noted(droplets.note)
    return only_cells(raw, np.concatenate(ambient)) if droplets.unsorted else raw


def _blocks(group: h5py.Group) -> Iterator[tuple[int, sp.csr_matrix]]:
    """Cells × features in blocks of cells with their first position; stored features × cells by column, which are the
    same arrays."""
    features, cells = (int(n) for n in group["shape"][:])
    data, indices, indptr = group["data"], group["indices"], group["indptr"][:].astype(np.int64)
    step = cells if cells < RAW_BARCODES else RAW_BARCODES
    for start in range(0, max(cells, 1), max(step, 1)):
        stop = min(start + step, cells)
        first, last = indptr[start], indptr[stop]
        parts = (data[first:last], indices[first:last], indptr[start : stop + 1] - first)
        yield start, compressed(sp.csr_matrix, parts, (stop - start, features))


def _text(dataset: h5py.Dataset) -> np.ndarray:
    return np.array([x.decode() if isinstance(x, bytes) else str(x) for x in dataset[:]], dtype=object)
