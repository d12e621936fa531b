"""Series of plates that publish a file a cell: two columns, gene and count."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member, contents
from brainmet.ingest.raw import Raw

FEWEST = 5
"""Fewer files than these are no plate."""


def gather(files: Sequence[Member]) -> Raw | None:
    """One matrix of files of one cell each; None when they are anything else.

    All files must list the same genes in the same order. A cell is named by its file, without accession and suffix.
    """
    if len(files) < FEWEST:
        return None
    genes: list[str] | None = None
    columns: list[sp.csr_matrix] = []
    cells: list[str] = []
    for member, data in contents(files):
        found = _column(data)
        if found is None:
            return None
        names, values = found
        if genes is None:
            genes = names
        elif names != genes:
            raise BrainmetError(
                f"{member}: lists other genes than {cells[0]}; the files of a plate must list the same: put them "
                "together into one table and set path:"
            )
        columns.append(sp.csr_matrix(values))
        cells.append(_cell(member.name))
    assert genes is not None
    return Raw(
        matrix=sp.vstack(columns, format="csr"),
        barcodes=np.array(cells, dtype=object),
        names=np.array(genes, dtype=object),
        ids=None,
        name=f"{files[0].path} ({len(files)} files of one cell)",
        notes=[f"{len(files)} files of one cell each"],
    )


def _column(data: bytes) -> tuple[list[str], np.ndarray] | None:
    """Genes and values of a file of two columns, with or without a header."""
    rows = [line for line in data.decode("latin-1").splitlines() if line.strip()]
    mark = next((m for m in "\t,; " if rows and m in rows[-1].strip()), None)
    if mark is None:
        return None
    parts = [row.strip().rsplit(mark, 1) for row in rows]
    if any(len(part) != 2 for part in parts[1:]) or mark in parts[-1][0].strip():
        return None
    if len(parts[0]) != 2 or not _is_number(parts[0][1]):
        parts = parts[1:]
    try:
        values = np.array([float(value) for _, value in parts])
    except ValueError:
        return None
    whole = values.astype(np.int64) if np.array_equal(values, np.rint(values)) else values
    return [name.strip().strip('"').strip() for name, _ in parts], whole


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cell(name: str) -> str:
    base = name.rsplit("/", 1)[-1]
    for suffix in (".gz", ".csv", ".tsv", ".txt", ".counts"):
        base = base.removesuffix(suffix)
    accession, _, rest = base.partition("_")
    return rest if rest and accession.startswith("GSM") else base
