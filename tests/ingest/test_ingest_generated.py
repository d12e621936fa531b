"""Files of the same counts in every way of writing them: generated triplets and tables read to the same sample."""

import gzip
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp
from brainmet.knowledge.genes import GeneTable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.test_ingest import BARCODES, CURRENT, SYMBOLS, counts, run, table

EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def compared(layout: str, files: dict[str, bytes], human: GeneTable, order: list[int], X: np.ndarray) -> None:
    """Read and compare: the genes of `order` alone, as one platform's list would have them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in files]
        for path, data in zip(paths, files.values(), strict=True):
            path.write_bytes(data)
        found = table(run(layout, paths, human))
    names = [CURRENT[i] for i in order]
    assert sorted(found.columns) == sorted(names) and list(found.index) == BARCODES
    assert (found[names].to_numpy() == X[order].T).all()


def packed(data: bytes, gz: bool) -> bytes:
    return gzip.compress(data, 1) if gz else data


@given(
    order=st.lists(st.integers(0, 9), min_size=7, max_size=10, unique=True),
    prefix=st.sampled_from(["", "GSM1_A_", "GSM1.A.", "A-1-", "a b "]),
    old=st.booleans(),
    gz=st.booleans(),
    turned=st.booleans(),
    columns=st.integers(1, 4),
    mark=st.sampled_from(["", '"']),
    header=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
@EXAMPLES
def test_triplets(human: GeneTable, order, prefix, old, gz, turned, columns, mark, header, end) -> None:
    X = counts()
    buffer = io.BytesIO()
    scipy.io.mmwrite(buffer, sp.coo_matrix(X[order].T if turned else X[order]), field="integer")
    rows = [[SYMBOLS[i], SYMBOLS[i], "Gene Expression", "chr1"][:columns] for i in order]
    rows = [["gene", "symbol", "kind", "place"][:columns], *rows] if header else rows
    features = end.join("\t".join(f"{mark}{part}{mark}" for part in row) for row in rows) + end
    barcodes = end.join([*(["barcode"] if header else []), *(f"{mark}{b}{mark}" for b in BARCODES)]) + end
    suffix = ".gz" if gz else ""
    files = {
        f"{prefix}matrix.mtx{suffix}": buffer.getvalue(),
        f"{prefix}{'genes' if old else 'features'}.tsv{suffix}": features.encode(),
        f"{prefix}barcodes.tsv{suffix}": barcodes.encode(),
    }
    compared("tenx_triplet", {name: packed(data, gz) for name, data in files.items()}, human, order, X)


@given(
    order=st.lists(st.integers(0, 9), min_size=7, max_size=10, unique=True),
    sep=st.sampled_from(["\t", ",", ";", " "]),
    turned=st.booleans(),
    gz=st.booleans(),
    encoding=ENCODINGS,
    end=ENDS,
    quoted=st.booleans(),
    short=st.booleans(),
    blank=st.booleans(),
    twice=st.booleans(),
)
@EXAMPLES
def test_tables(human: GeneTable, order, sep, turned, gz, encoding, end, quoted, short, blank, twice) -> None:
    X = counts()
    frame = pd.DataFrame(X[order], [SYMBOLS[i] for i in order], BARCODES)
    if twice:  # A name in two rows, which are added.
        frame = pd.concat([frame, frame.iloc[:1] * 2])
        X = X.copy()
        X[order[0]] *= 3
    frame = frame.T if turned else frame
    text = frame.to_csv(
        sep=sep, quoting=2 if quoted else 0, index_label="" if sep != " " else "name", lineterminator=end
    )
    lines = text.split(end)
    if short and sep == "\t":  # R writes no name above the names of rows.
        lines[0] = lines[0].split(sep, 1)[1]
    if blank:
        lines = ["", *lines, "", ""]
    compared(
        "dense_text", {f"t.txt{'.gz' if gz else ''}": packed(end.join(lines).encode(encoding), gz)}, human, order, X
    )
