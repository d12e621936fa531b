"""Series that publish one file per cell or per profile: genes and counts, or the table that a quantifier writes."""

import re
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member, contents
from brainmet.ingest.raw import Raw

FEWEST = 5
"""Fewer files than these are no plate."""
COUNTS = ("expected_count", "numreads", "est_counts")
"""What RSEM, salmon and kallisto call the counts of a gene, in small letters."""
FEATURECOUNTS = ("geneid", "chr", "start", "end", "strand", "length")
"""Columns in front of featureCounts' value."""
SUFFIX = re.compile(
    r"[._]?(readspergene|htseq|featurecounts|counts?|quant|genes|results|fpkm_tracking|out|sf|tab|csv|tsv|txt|gz|bz2|xz)$",
    re.IGNORECASE,
)
"""Parts at the end of a name that tell how a file was made."""


def gather(files: Sequence[Member], *, accessions: bool = False) -> Raw | None:
    """One matrix of files of one cell each; None when they are anything else.

    All files must list the same genes in the same order. A cell is named by its file without suffix, and without its
    accession unless `accessions`.
    """
    if len(files) < FEWEST:
        return None
    genes: list[str] | None = None
    columns: list[sp.csr_matrix] = []
    cells: list[str] = []
    for member, data in contents(files):
        column = _column(data)
        if column is None:
            return None
        names, values = column
        if genes is None:
            genes = names
        elif names != genes:
            raise BrainmetError(
                f"{member}: lists other genes than {cells[0]}; the files of a plate must list the same: put them "
                "together into one table and set path:"
            )
        columns.append(sp.csr_matrix(values))
        cells.append(_cell(member.name, accession=accessions))
    assert genes is not None
    return Raw(
        matrix=sp.vstack(columns, format="csr"),
        barcodes=np.array(cells, dtype=object),
        names=np.array(genes, dtype=object),
        name=f"{files[0].path} ({len(files)} files of one cell)",
        notes=(f"{len(files)} files of one cell each",),
    )


def _column(data: bytes) -> tuple[list[str], np.ndarray] | None:
    """Genes and values of a file of one cell, with or without a header."""
    rows = [line for line in data.decode("latin-1").splitlines() if line.strip() and line[0] != "#"]
    mark = next((m for m in "\t,; " if rows and m in rows[-1].strip()), None)
    if mark is None:
        return None
    # Most tables are not of this kind, and a large one cut into its fields takes many times its size.
    at = _value_column(_cut(rows[0], mark), _cut(rows[-1], mark))
    if at is None:
        return None
    parts = [_cut(row, mark) for row in rows]
    if any(len(part) <= at for part in parts[1:]):
        return None
    if len(parts[0]) <= at or not _is_number(parts[0][at]):
        parts = parts[1:]
    try:
        values = np.array([float(part[at]) for part in parts])
    except ValueError:
        return None
    whole = values.astype(np.int64) if np.array_equal(values, np.rint(values)) else values
    return [part[0] for part in parts], whole


def _cut(row: str, mark: str) -> list[str]:
    return [part.strip().strip('"').strip() for part in row.strip().split(mark)]


def _value_column(first: list[str], last: list[str]) -> int | None:
    """Where the value of a gene stands: behind one name, behind an id and a name, or where a quantifier writes it."""
    header = [name.lower() for name in first]
    if named := [header.index(name) for name in COUNTS if name in header]:
        return named[0]
    if tuple(header[:6]) == FEATURECOUNTS:
        return 6
    if len(last) == 4 and header[0] == "n_unmapped":
        return 1  # STAR: reads of either strand.
    if len(last) in (2, 3) and _is_number(last[-1]) and not any(_is_number(text) for text in last[1:-1]):
        return len(last) - 1
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cell(name: str, *, accession: bool) -> str:
    base = name.rsplit("/", 1)[-1]
    while (shorter := SUFFIX.sub("", base)) and shorter != base:
        base = shorter
    first, _, rest = base.partition("_")
    return rest if rest and first.startswith("GSM") and not accession else base
