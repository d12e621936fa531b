"""Dense tables, genes × cells or cells × genes: text with any separator and ids in any leading or trailing columns;
workbooks and parquet by readers of their own.

A text is read once, in blocks of lines, straight into sparse form: memory grows with the nonzero values, not with
the text.
"""

import codecs
import re
from dataclasses import dataclass
from typing import IO

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.core.small_tables import WORKBOOK
from brainmet.errors import BrainmetError
from brainmet.ingest.entries import Entries, narrowed
from brainmet.ingest.gaps import without_gaps
from brainmet.ingest.members import Member
from brainmet.ingest.one_cell import gather
from brainmet.ingest.raw import Raw, Request, cells_alone
from brainmet.ingest.streams import CHUNK, in_utf8, whole_lines
from brainmet.ingest.table_format import SKIP, TEXT, THOUSANDS, VALUE, Format, recognise
from brainmet.ingest.text import PARQUET
from brainmet.knowledge.genes import ENSEMBL_ID, GeneTable

NOT_MATRIX = re.compile(
    r"\.(mtx|h5|h5ad|hdf5|loom|rds|pdf|png|docx?|json|xml)(\.gz)?$|annot|metadata|barcodes|features|cell_?types?|readme",
    re.IGNORECASE,
)
CELL_COLUMNS = re.compile(
    r"^(n_?(count|feature|gene|umi)s?(_rna|_by_counts)?|total_(counts|umis?)|(percent|pct|frac)[_.]?\w*|\w+_clusters?|"
    r"clusters?|orig\.ident|(s|g2m)[._]?score|(umap|tsne|pca?)[_.]?\d+|doublet\w*|scrublet\w*|res\.[\d.]+)$",
    re.IGNORECASE,
)
"""Columns of numbers that describe cells, as Seurat and scanpy write them: no genes."""
QUOTED_THOUSANDS = re.compile(rb'"([1-9]\d{0,2}(?:,\d{3})+)"')
COMMAS = re.compile(rb'(?<![^\s;"])\d+(?:,\d+)+(?![^\s;"])')
"""A number with commas, between separators or quotes."""
GCT = re.compile(rb"#1\.[23]\s")
"""The first line of a table for GenePattern."""
HEAD_LINES = 40
ACROSS = 0.1
"""Share of known genes among the names of columns above which these are genes, not cells."""
FEWEST_KNOWN = 0.3
"""Share of known genes that a long table needs, which could be a table of anything."""


@dataclass(frozen=True)
class Gaps:
    """Where a table says nothing.

    Attributes:
        lines, columns: blanks and NA by line, and by column of values.
        zeros: zeros that are written.
    """

    lines: np.ndarray
    columns: np.ndarray
    zeros: int


def read(request: Request) -> Raw:
    """Read one sample's dense table; where cells are columns, those of other samples are skipped."""
    members = request.members
    tables = [member for member in members if not NOT_MATRIX.search(member.name)] if len(members) > 1 else members
    if len(tables) > 1 and (raw := gather(tables)) is not None:
        return raw
    if len(tables) != 1:
        names = ", ".join(member.name for member in (tables or members)[:6])
        raise BrainmetError(
            f"{request.name}: {len(tables)} files can be its table ({names}); correct match in the dataset "
            "file, where several samples may name one donor (`snakemake discover` prints the lines for its files)"
        )
    member = tables[0]
    if WORKBOOK.search(member.name):
        from brainmet.ingest.workbook import read_workbook

        return read_workbook(member, request.genes)
    if PARQUET.search(member.name):
        from brainmet.ingest.columnar import read_parquet

        return read_parquet(member, request.genes)
    with member.open() as packed:
        stream = in_utf8(packed)
        head = _head(stream, member)
        form = recognise(head, member)
        across = request.genes.share_known(_top(form)) > ACROSS
        if request.names_only and not across:
            return cells_alone(_top(form), _above(form), str(member))
        _skip_columns(form, request, across=across)
        entries, texts, gaps = _body(stream, form, head[1 + len(form.above) :], member)
    return without_gaps(*_oriented(entries, texts, gaps, form, genes=request.genes, member=member), zeros=gaps.zeros)


def _top(form: Format) -> np.ndarray:
    """Names of the columns of values."""
    return np.array(form.header, dtype=object)[form.kinds == VALUE]


def _skip_columns(form: Format, request: Request, *, across: bool) -> None:
    """Mark columns to skip: numbers about cells where columns are genes (`across`), else those of other samples."""
    top = _top(form)
    if across:
        skipped = np.array([bool(CELL_COLUMNS.match(name)) and not request.genes.knows(name) for name in top])
    else:
        skipped = ~request.cells.mask(top, _above(form))
    form.kinds[np.flatnonzero(form.kinds == VALUE)[skipped]] = SKIP


def _above(form: Format) -> pd.DataFrame | None:
    """What lines between header and values say of each column of values; None where there are none."""
    above = {name: np.array(row, dtype=object)[form.kinds == VALUE] for name, row in form.above.items()}
    return pd.DataFrame(above) if above else None


def _head(stream: IO[bytes], member: Member) -> list[bytes]:
    """The first lines from the header on, without blank lines and comments above it."""
    lines: list[bytes] = []
    while len(lines) < HEAD_LINES and (line := stream.readline()):
        line = line.removeprefix(codecs.BOM_UTF8)
        comment = not lines and line.lstrip().startswith((b"#", b"!"))
        if comment and GCT.match(line):
            stream.readline()  # The numbers of genes and samples.
        if line.startswith(b"%%MatrixMarket"):
            raise BrainmetError(f"{member}: is a Matrix Market file; set layout: tenx_triplet in the dataset file")
        if line.strip(b" \t\r\n,;") and not comment:
            lines.append(line)
    if len(lines) < 2:
        raise BrainmetError(
            f"{member}: holds {len(lines)} lines; a table needs a header and rows: fetch the file again"
        )
    return lines


def _body(stream: IO[bytes], form: Format, head: list[bytes], member: Member) -> tuple[Entries, list[np.ndarray], Gaps]:
    """Values by line and value column, the text columns, and what is missing."""
    from brainmet.ingest.kernels import parse_dense_lines

    slot = np.zeros(form.kinds.size, np.int32)
    for kind in (VALUE, TEXT, SKIP):
        slot[form.kinds == kind] = np.arange((form.kinds == kind).sum())
    n_values, n_texts = int((form.kinds == VALUE).sum()), int((form.kinds == TEXT).sum())
    entries, missing = Entries(n_values), []
    texts: list[list[str]] = [[] for _ in range(n_texts)]
    missing_columns = np.zeros(n_values, np.int64)
    lines_done = zeros = 0
    for lines in whole_lines(stream, CHUNK, b"".join(head)):
        block = lines.replace(b",", b".") if form.comma else lines
        if form.thousands:
            block = _without_thousands(lines, form.sep, member)
        text = np.frombuffer(block, np.uint8)
        # A carriage return alone ends a line too, as in files joined of two systems'.
        alone = block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else 0
        count = int(block.count(b"\n") + alone + 1)
        room = min(len(block) + 1, count * n_values)
        column, value = np.empty(room, np.int32), np.empty(room, np.float64)
        ends, names = np.zeros(count, np.int64), np.zeros((count, n_texts, 2), np.int64)
        read_lines, kept, bad, at = parse_dense_lines(text, form.sep, form.kinds, slot, column, value, ends, names)
        if bad:
            raise BrainmetError(_unreadable(member, 1 + len(form.above) + lines_done + bad, at, form))
        zeros += read_lines * n_values - kept
        column, value, ends = column[:kept], value[:kept], ends[:read_lines]
        gap = np.isnan(value)
        if gap.any():
            line = np.searchsorted(ends, np.flatnonzero(gap), side="right")
            missing.append(np.bincount(line, minlength=read_lines))
            np.add.at(missing_columns, column[gap], 1)
            column, value, ends = column[~gap], value[~gap], ends - np.cumsum(missing[-1])
        else:
            missing.append(np.zeros(read_lines, np.int64))
        entries.add(column, narrowed(value), np.diff(ends, prepend=0))
        for k in range(n_texts):
            texts[k].extend(block[a:b].decode("utf-8", "replace").strip() for a, b in names[:read_lines, k])
        lines_done += read_lines
    return entries, [np.array(t, dtype=object) for t in texts], Gaps(np.concatenate(missing), missing_columns, zeros)


def _without_thousands(lines: bytes, sep: int, member: Member) -> bytes:
    """Lines without the commas that set off thousands: those in quotes where commas separate, else every comma.

    Raises:
        BrainmetError: a comma sets off something else.
    """
    if sep == 44:
        return QUOTED_THOUSANDS.sub(lambda number: number[1].replace(b",", b""), lines)
    if odd := next((number for number in COMMAS.findall(lines) if not THOUSANDS.match(number)), None):
        raise BrainmetError(
            f"{member}: commas set off thousands in its first lines, but not in {odd.decode()}; write it without commas"
        )
    return lines.replace(b",", b"")


def _unreadable(member: Member, line: int, column: int, form: Format) -> str:
    if column > form.kinds.size:
        return f"{member}: line {line} has more than {form.kinds.size} columns; fetch the file again"
    name = form.header[column - 1][:40]
    where = f"column {column}" + (f" ({name})" if name else "")
    return f"{member}: line {line} has no number in {where}, or ends before it; fetch the file again"


def _oriented(
    entries: Entries, texts: list[np.ndarray], gaps: Gaps, form: Format, *, genes: GeneTable, member: Member
) -> tuple[Raw, np.ndarray]:
    """Cells × genes, whichever way the file lies, and the missing values of every gene: the side with more known genes
    holds the genes."""
    if not texts:
        texts = [np.array([str(i + 1) for i in range(len(gaps.lines))], dtype=object)]
    texts, top = [_unquoted(column) for column in texts], _unquoted(_top(form))
    known = [genes.share_known(column) for column in texts]
    # Genes are named once: a column of one patient, P1, is the alias of a gene in every line.
    scores = [share * len(set(column)) / max(1, len(column)) for share, column in zip(known, texts, strict=True)]
    if genes.share_known(top) > max(scores):
        about = dict(zip(np.array(form.header, dtype=object)[form.kinds == TEXT], texts, strict=False))
        raw = Raw(
            matrix=entries.as_written(),
            barcodes=_names_of_cells(texts),
            names=top,
            name=str(member),
            obs=pd.DataFrame(about),
            notes=("cells are rows",),
        )
        return raw, gaps.columns
    if len(top) == 1 and len(texts) > 1 and all(len(set(text)) < len(text) for text in texts):
        return _long(entries, texts, known, gaps, member), np.zeros(len(set(texts[int(np.argmax(known))])), np.int64)
    names, ids = _names_of_genes(texts, scores)
    raw = Raw(matrix=entries.turned(), barcodes=top, names=names, ids=ids, name=str(member), obs=_above(form))
    return raw, gaps.lines


def _names_of_cells(texts: list[np.ndarray]) -> np.ndarray:
    """The first column without repeats, behind row numbers where there are any."""
    unique = [column for column in texts if len(set(column)) == len(column)] or texts[:1]
    return next((column for column in unique if not str(column[0]).isdigit()), unique[0])


def _names_of_genes(texts: list[np.ndarray], scores: list[float]) -> tuple[np.ndarray, np.ndarray | None]:
    """Names and ids of genes by the share of known ones in each column: of ids alone, both are the ids."""
    names = texts[int(np.argmax(scores))]
    ids = next((column for column in texts if _ids(column) > 0.5), None)
    if ids is not None and _ids(names) > 0.5:
        names = next((c for c, s in zip(texts, scores, strict=True) if s > 0.3 and _ids(c) < 0.5), ids)
    return names, ids


def _long(entries: Entries, texts: list[np.ndarray], scores: list[float], gaps: Gaps, member: Member) -> Raw:
    """A table with one value per line, of a gene and a cell, as umi_tools writes it; values of one pair are added.

    Raises:
        BrainmetError: a line has no value, or no column can be the cells.
    """
    at = int(np.argmax(scores))
    rest = [k for k in range(len(texts)) if k != at]
    # Ids and names of genes go together: the cells are the column that does not.
    pairs = [len(set(zip(texts[at], texts[k], strict=True))) for k in rest]
    cell = rest[int(np.argmax(pairs))]
    if gaps.lines.any() or scores[at] < FEWEST_KNOWN:
        what = "a line without a value" if gaps.lines.any() else "no column of genes"
        raise BrainmetError(
            f"{member}: holds one value per line, of {texts[cell][0]} and {texts[at][0]}, and has {what}; give it as a "
            "table of genes × cells or as Matrix Market"
        )
    rows, cells = pd.factorize(texts[cell])
    columns, names = pd.factorize(texts[at])
    values = entries.as_written().toarray().ravel()
    matrix = sp.coo_matrix((values, (rows, columns)), shape=(len(cells), len(names))).tocsr()
    matrix.eliminate_zeros()
    return Raw(
        matrix=matrix,
        barcodes=np.asarray(cells, object),
        names=np.asarray(names, object),
        name=str(member),
        notes=("a long table",),
    )


def _unquoted(names: np.ndarray) -> np.ndarray:
    """Names without the single quotes that all of them stand in."""
    if len(names) and all(len(name) > 1 and name[0] == name[-1] == "'" for name in names):
        return np.array([name[1:-1] for name in names], dtype=object)
    return names


def _ids(names: np.ndarray) -> float:
    some = names[:: max(1, len(names) // 500)]
    return float(np.mean([bool(ENSEMBL_ID.search(str(n))) for n in some])) if len(some) else 0.0
