"""Dense text tables: any separator, genes × cells or cells × genes, ids in any leading or trailing columns.

The table is read once, in blocks of lines, straight into sparse form: memory grows with the nonzero values, not with
the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError
from brainmet.genes import ENSEMBL_ID, GeneTable
from brainmet.ingest.members import Member, select, whole_lines
from brainmet.ingest.one_cell import gather
from brainmet.ingest.raw import Raw, Wanted

BLOCK = 1 << 22
"""4 MB of text a block, or one line where lines are longer."""
NOT_MATRIX = re.compile(
    r"\.(mtx|h5|h5ad|hdf5|loom|rds|xlsx?|pdf|png)(\.gz)?$|annot|metadata|barcodes|features|cell_?types?|readme",
    re.IGNORECASE,
)
NUMBER = re.compile(rb"^[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+|NA|NaN|nan)$")
HEAD_LINES = 40
SKIP = 2


@dataclass(frozen=True)
class Format:
    """How a table is written.

    Attributes:
        sep: the separator's byte.
        header: names of all columns, aligned to the columns of the rows; None when the first line holds values.
        kinds: per column 0 value, 1 text or 2 skipped.
    """

    sep: int
    header: list[str] | None
    kinds: np.ndarray


def read(files: Sequence[Member], *, match: str | None, genes: GeneTable, barcodes: Wanted | None) -> Raw:
    """Read one sample's dense table.

    Args:
        files: all files of the series.
        match: prefix of the sample's file; None when the series is one sample.
        genes: tells rows of genes from rows of cells.
        barcodes: cells of this sample: where cells are columns, the others are skipped.
    """
    own = select(files, match)
    tables = [member for member in own if not NOT_MATRIX.search(member.name)] if len(own) > 1 else own
    if len(tables) > 1 and (raw := gather(tables)) is not None:
        return raw
    if len(tables) != 1:
        names = ", ".join(member.name for member in (tables or own)[:6])
        raise BrainmetError(
            f"{match or 'the dataset'}: {len(tables)} files can be its table ({names}); mend match in the dataset file"
        )
    member = tables[0]
    with member.open() as stream:
        head = _head(stream, member)
        form = _own_columns(recognise(head, member), genes, barcodes)
        matrix, texts = _body(stream, form, head, member)
    return _oriented(matrix, texts, form, genes=genes, member=member)


def _own_columns(form: Format, genes: GeneTable, barcodes: Wanted | None) -> Format:
    """The columns of other samples marked to be skipped, where columns are cells."""
    if barcodes is None or barcodes.own is None or form.header is None:
        return form
    at = np.flatnonzero(form.kinds == 0)
    top = np.array(form.header, dtype=object)[at]
    own = np.zeros(len(at), bool) if _known(top, genes) > 0.1 else barcodes.own(top, None)
    # No column of this sample: all are read, for the message that lists the values there are.
    if own.any():
        form.kinds[at[~own]] = SKIP
    return form


def _head(stream: IO[bytes], member: Member) -> list[bytes]:
    found = [stream.readline() for _ in range(HEAD_LINES)]
    found = [line for line in found if line.strip()]
    if len(found) < 2:
        raise BrainmetError(
            f"{member}: holds {len(found)} lines; a table needs a header and rows: fetch the file again"
        )
    if found[0].startswith(b"%%MatrixMarket"):
        raise BrainmetError(f"{member}: is a Matrix Market file; set layout: tenx_triplet in the dataset file")
    found[0] = found[0].removeprefix(b"\xef\xbb\xbf")
    return found


def fields(line: bytes, sep: int) -> list[bytes]:
    """The parts of a line, unquoted; separators inside quotes do not cut."""
    line = line.rstrip(b"\r\n")
    if sep == 32:
        return [part.strip(b'"') for part in line.split()]
    mark = bytes([sep])
    parts = line.split(mark)
    if b'"' in line:
        joined: list[bytes] = []
        for part in parts:
            if joined and joined[-1].count(b'"') % 2:
                joined[-1] += mark + part
            else:
                joined.append(part)
        parts = joined
    return [part.strip().strip(b'"').strip() for part in parts]


def recognise(head: list[bytes], member: Member) -> Format:
    """Separator, header and the columns that hold text, from the first lines.

    Raises:
        BrainmetError: no separator gives rows of equal width with numbers in them.
    """
    body = head[1:]
    for sep in (9, 44, 59, 32):
        rows = [fields(line, sep) for line in body]
        widths = {len(_trimmed(row)) for row in rows} if sep == 32 else {len(row) for row in rows}
        if len(widths) == 1 and max(widths) > 1:
            break
    else:
        raise BrainmetError(
            f"{member}: no separator (tab, comma, semicolon, blank) gives rows of equal length; check the file "
            f"and its layout"
        )
    width = max(widths)
    first = fields(head[0], sep)
    if all(not row[-1] for row in rows):  # A separator behind the last column of every line.
        width -= 1
        first = _trimmed(first)
    share = np.array([[bool(NUMBER.match(row[i])) for i in range(width)] for row in rows]).mean(axis=0)
    kinds = np.where(share > 0.8, 0, 1).astype(np.uint8)
    if kinds[0] == 0 and width > 2:
        kinds[0] = 1  # Names of cells or genes that are bare numbers.
    if not (kinds == 0).any():
        raise BrainmetError(f"{member}: no column holds numbers; check the file and its layout")
    header = [name.decode("utf-8", "replace") for name in first]
    if len(header) == width + 1 and not header[-1]:
        header.pop()
    if len(header) == width - 1:
        header.insert(0, "")  # R writes no name above row names.
    elif len(header) == width - int(kinds.sum()):
        header = [""] * int(kinds.sum()) + header
    if len(header) != width:
        raise BrainmetError(
            f"{member}: the header names {len(header)} columns and the rows have {width}; fetch the file again"
        )
    return Format(sep=sep, header=header, kinds=kinds)


def _trimmed(row: list[bytes]) -> list[bytes]:
    return row[:-1] if row and not row[-1] else row


def _body(stream: IO[bytes], form: Format, head: list[bytes], member: Member) -> tuple[sp.csr_matrix, list[np.ndarray]]:
    """Rows × value columns, and the text columns."""
    from brainmet.ingest.kernels import dense

    slot = np.zeros(form.kinds.size, np.int32)
    for kind in (0, 1, SKIP):
        slot[form.kinds == kind] = np.arange((form.kinds == kind).sum())
    n_values, n_texts = int((form.kinds == 0).sum()), int((form.kinds == 1).sum())
    columns, values, lengths = [], [], [np.zeros(1, np.int64)]
    texts: list[list[str]] = [[] for _ in range(n_texts)]
    total = lines_done = 0
    for block in whole_lines(stream, BLOCK, b"".join(head[1:])):
        text = np.frombuffer(block, np.uint8)
        count = int(block.count(b"\n") + 1)
        room = min(len(block) // 2 + 1, count * n_values)
        column, value = np.empty(room, np.int32), np.empty(room, np.float64)
        ends, names = np.zeros(count, np.int64), np.zeros((count, n_texts, 2), np.int64)
        read_lines, kept, bad, at = dense(text, form.sep, form.kinds, slot, column, value, ends, names)
        if bad:
            raise BrainmetError(_unreadable(member, lines_done + bad + 1, at, form))
        columns.append(column[:kept].copy())
        values.append(_narrow(value[:kept]))
        lengths.append(ends[:read_lines] + total)
        for k in range(n_texts):
            texts[k].extend(block[a:b].decode("utf-8", "replace").strip() for a, b in names[:read_lines, k])
        total += kept
        lines_done += read_lines
    indptr = np.concatenate(lengths)
    data = _joined(values, np.dtype(np.result_type(*values)) if values else np.dtype(np.int32))
    indices = _joined(columns, np.dtype(np.int32))
    return sp.csr_matrix((data, indices, indptr), shape=(lines_done, n_values)), [
        np.array(t, dtype=object) for t in texts
    ]


def _narrow(values: np.ndarray) -> np.ndarray:
    """int32 where every value is a whole number that fits, else float32."""
    if (
        np.isfinite(values).all()
        and np.array_equal(values, np.rint(values))
        and (not values.size or np.abs(values).max() < 2**31)
    ):
        return values.astype(np.int32)
    return values.astype(np.float32)


def _joined(parts: list[np.ndarray], kind: np.dtype) -> np.ndarray:
    """Concatenate and free the parts as they are copied."""
    kind = np.dtype(np.float32) if np.dtype(kind) == np.float64 else np.dtype(kind)
    result = np.empty(sum(part.size for part in parts), kind)
    at = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        result[at : at + part.size] = part
        at += part.size
    return result


def _unreadable(member: Member, line: int, column: int, form: Format) -> str:
    if column > form.kinds.size:
        return f"{member}: line {line} has more than {form.kinds.size} columns; fetch the file again"
    name = form.header[column - 1] if form.header else ""
    where = f"column {column}" + (f" ({name})" if name else "")
    return f"{member}: line {line} has no number in {where}, or ends before it; fetch the file again"


def _oriented(matrix: sp.csr_matrix, texts: list[np.ndarray], form: Format, *, genes: GeneTable, member: Member) -> Raw:
    """Cells × genes, whichever way the file lies: the side with more known genes holds the genes."""
    header = np.array(form.header or [], dtype=object)
    top = header[form.kinds == 0]
    if not texts:
        texts = [np.array([str(i + 1) for i in range(matrix.shape[0])], dtype=object)]
    scores = [_known(column, genes) for column in texts]
    across = _known(top, genes)
    if max(scores) == 0 and across == 0:
        # Nothing is known on either side: say so where the genes are mapped, in the usual orientation.
        across = -1.0
    if across > max(scores):
        labels = texts[0]
        return Raw(matrix=matrix, barcodes=labels, names=top, ids=None, name=str(member), notes=["cells are rows"])
    names = texts[int(np.argmax(scores))]
    ids = next((column for column in texts if _ids(column) > 0.5), None)
    if ids is not None and _ids(names) > 0.5:
        names = next((c for c, s in zip(texts, scores, strict=True) if s > 0.3 and _ids(c) < 0.5), ids)
    return Raw(matrix=matrix.T.tocsr(), barcodes=top, names=names, ids=ids, name=str(member))


def _known(names: np.ndarray, genes: GeneTable) -> float:
    some = names[:: max(1, len(names) // 2000)]
    return float(np.mean([genes.knows(str(n)) or bool(ENSEMBL_ID.search(str(n))) for n in some])) if len(some) else 0.0


def _ids(names: np.ndarray) -> float:
    some = names[:: max(1, len(names) // 500)]
    return float(np.mean([bool(ENSEMBL_ID.search(str(n))) for n in some])) if len(some) else 0.0
