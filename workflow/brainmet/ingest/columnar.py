"""Tables in parquet: genes × cells or cells × genes, names in a column of text or in the index that pandas keeps."""

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.gaps import without_gaps
from brainmet.ingest.members import Member
from brainmet.ingest.raw import Raw
from brainmet.knowledge.genes import GeneTable

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 500
"""Columns read together: the table is never held whole, its sparse form is."""


def read_parquet(member: Member, genes: GeneTable) -> Raw:
    """Cells × genes of a parquet table, whichever way it lies.

    Raises:
        BrainmetError: the file is not parquet, has no column of names or of numbers, or most genes lack values.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(member.read()) if member.packed else member.path)
        texts = [f.name for f in file.schema_arrow if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        numbers = [f.name for f in file.schema_arrow if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
        names = {name: np.array(file.read([name])[name].to_pylist(), dtype=object) for name in texts}
        starts = range(0, len(numbers), AT_ONCE)
        blocks = [_block(file.read(numbers[i : i + AT_ONCE]), numbers[i : i + AT_ONCE]) for i in starts]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrainmetError(f"{member}: cannot be read as parquet ({error}); delete it and fetch it again") from error
    if not texts or len(numbers) < 2:
        raise BrainmetError(
            f"{member}: holds {len(texts)} columns of text and {len(numbers)} of numbers; a table needs a column of "
            "names and a column of numbers for each cell or gene"
        )
    table = sp.hstack([block.values for block in blocks], format="csc")
    top = np.array(numbers, dtype=object)
    known = {name: genes.share_known(values) for name, values in names.items()}
    best = max(known, key=lambda name: known[name])
    if genes.share_known(top) > known[best]:
        cells = next((values for values in names.values() if len(set(values)) == len(values)), names[texts[0]])
        raw = Raw(matrix=table.tocsr(), barcodes=cells, names=top, name=str(member), notes=("cells are rows",))
        missing = np.concatenate([block.missing_in_columns for block in blocks])
    else:
        raw = Raw(matrix=table.T.tocsr(), barcodes=top, names=names[best], name=str(member))
        missing = np.sum([block.missing_in_rows for block in blocks], axis=0)
    return without_gaps(raw, missing, zeros=sum(block.zeros for block in blocks))


class Block(NamedTuple):
    """Some columns of a table: their values, missing ones not stored, and how many are missing and how many are 0."""

    values: sp.csc_matrix
    missing_in_columns: np.ndarray
    missing_in_rows: np.ndarray
    zeros: int


def _block(table: "pa.Table", columns: list[str]) -> Block:
    values = np.column_stack([table[name].to_numpy() for name in columns])
    gap = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    filled = sp.csc_matrix(np.where(gap, 0, values))
    return Block(filled, gap.sum(axis=0), gap.sum(axis=1), int((values == 0).sum()))
