"""10x Genomics HDF5: v2 (one group a genome) and v3 (matrix/features), several genomes, antibody features set aside."""

import io
from collections.abc import Collection, Sequence

import h5py
import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.genes import GeneTable
from brainmet.ingest.members import Member, one, select
from brainmet.ingest.raw import Raw, rna_only


def read(files: Sequence[Member], *, match: str | None, genes: GeneTable, barcodes: Collection[str] | None) -> Raw:
    """Read one sample's 10x `.h5` (also gzipped, also inside a tar).

    Args:
        files: all files of the series.
        match: prefix of the sample's file; None when the series is one sample.
        genes: not needed here.
        barcodes: not needed here.
    """
    own = select(files, match)
    member = (
        one(own, r"\.(h5|hdf5)(\.gz)?$", what="10x file (.h5)", among=match or "the dataset")
        if len(own) > 1
        else own[0]
    )
    try:
        with h5py.File(io.BytesIO(member.read())) as file:
            raw, kinds = _v3(file["matrix"]) if "matrix" in file else _v2(file)
    except (OSError, KeyError, ValueError) as error:
        raise BrainmetError(
            f"{member}: cannot be read as a 10x HDF5 file ({error}); fetch it again, or mend layout"
        ) from error
    raw.name = str(member)
    return rna_only(raw, kinds)


def _v3(group: h5py.Group) -> tuple[Raw, np.ndarray]:
    features = group["features"]
    names, ids = _text(features["name"]), _text(features["id"])
    return Raw(_matrix(group), _text(group["barcodes"]), names, ids, ""), _text(features["feature_type"])


def _v2(file: h5py.File) -> tuple[Raw, np.ndarray]:
    genomes = [group for group in file.values() if isinstance(group, h5py.Group) and "gene_names" in group]
    if not genomes:
        raise KeyError("neither the group matrix nor a group with gene_names")
    barcodes = _text(genomes[0]["barcodes"])
    if any(not np.array_equal(barcodes, _text(group["barcodes"])) for group in genomes):
        raise KeyError("genomes with different barcodes")
    names = np.concatenate([_text(group["gene_names"]) for group in genomes])
    ids = np.concatenate([_text(group["genes"]) for group in genomes])
    matrix = sp.hstack([_matrix(group) for group in genomes], format="csr")
    return Raw(matrix, barcodes, names, ids, ""), np.array([""] * len(names), dtype=object)


def _matrix(group: h5py.Group) -> sp.csr_matrix:
    features, cells = (int(n) for n in group["shape"][:])
    parts = (group["data"][:], group["indices"][:], group["indptr"][:])
    # Stored features × cells by column: the same arrays are cells × features by row.
    return sp.csr_matrix(parts, shape=(cells, features))


def _text(dataset: h5py.Dataset) -> np.ndarray:
    return np.array([x.decode() if isinstance(x, bytes) else str(x) for x in dataset[:]], dtype=object)
