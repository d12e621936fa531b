"""Tables in parquet: genes × cells or cells × genes, names in a column of text or in the index that pandas keeps."""

import io
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.genes import GeneTable
from brainmet.ingest.members import Member
from brainmet.ingest.raw import Raw

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 500
"""Columns read together: the table is never held whole, its sparse form is."""


def read_parquet(member: Member, genes: GeneTable) -> Raw:
    """Cells × genes of a parquet table, whichever way it lies; genes without a value in every cell are left out.

    Raises:
        BrainmetError: not parquet, or no column of names or of numbers.
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
    table = sp.hstack([block for block, *_ in blocks], format="csc")
    top = np.array(numbers, dtype=object)
    known = {name: genes.share_known(values) for name, values in names.items()}
    best = max(known, key=lambda name: known[name])
    if genes.share_known(top) > known[best]:
        cells = next((values for values in names.values() if len(set(values)) == len(values)), names[texts[0]])
        raw = Raw(table.tocsr(), cells, top, None, str(member), notes=["cells are rows"])
        missing = np.concatenate([across for _, across, _ in blocks])
    else:
        raw = Raw(table.T.tocsr(), top, names[best], None, str(member))
        missing = np.any([down for *_, down in blocks], axis=0)
    if not missing.any():
        return raw
    kept = raw.features(~missing)
    kept.notes = [*raw.notes, f"{missing.sum()} genes without a value in every cell left out"]
    return kept


def _block(table: "pa.Table", columns: list[str]) -> tuple[sp.csc_matrix, np.ndarray, np.ndarray]:
    """Some columns in sparse form, and which columns and which rows of them lack a value."""
    values = np.column_stack([table[name].to_numpy() for name in columns])
    gap = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    return sp.csc_matrix(np.where(gap, 0, values)), np.any(gap, axis=0), np.any(gap, axis=1)
