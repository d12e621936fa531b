"""Readers beyond the common ones: loom, files of one cell, matrices of every droplet, samples inside one matrix."""

import gzip
import importlib
import io
import tarfile
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from brainmet.ingest import dense_text, entries, kernels, matrix_market, one_cell, raw, table_format
from brainmet.ingest.droplets import are_cells, only_cells
from brainmet.ingest.members import Member
from brainmet.ingest.raw import Request
from brainmet.ingest.streams import ahead, whole_lines
from brainmet.knowledge.genes import GeneTable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.test_ingest import BARCODES, SYMBOLS, counts, dense, record, run, same, write_triplet

# --- loom -------------------------------------------------------------------------------------------------------------


def write_loom(path: Path, *, cells: str = "CellID") -> Path:
    with h5py.File(path, "w") as file:
        file["matrix"] = counts()
        file["row_attrs/Gene"] = np.array(SYMBOLS, "S")
        file[f"col_attrs/{cells}"] = np.array(BARCODES, "S")
        file["col_attrs/Patient"] = np.array(["P1", "P2"] * 3, "S")
    return path


def test_loom(tmp_path: Path, human: GeneTable) -> None:
    path = write_loom(tmp_path / "a.loom")
    same(run("loom", [path], human), counts())
    result = run("loom", [path], human, split_by={"obs": "Patient"}, match="P2")
    assert [cell.split(":")[1] for cell in result.cells.index] == BARCODES[1::2]
    assert (counts().sum(axis=0)[1::2] == result.matrix.sum(axis=1).A1).all()


def test_names_of_cells_are_had_without_values(tmp_path: Path, human: GeneTable) -> None:
    """For `discover`, whatever the size of the matrix: values that cannot be read are not looked at."""
    text = tmp_path / "a.csv"
    text.write_text("\n".join([",".join(["", *BARCODES]), *(f"{gene},1,2,0,0,3,1" for gene in SYMBOLS * 9), "ACTB,x"]))
    for layout, path in (("loom", write_loom(tmp_path / "a.loom")), ("dense_text", text)):
        reader = importlib.import_module(f"brainmet.ingest.{layout}")
        found = reader.read(Request(files=[Member(path.name, path)], genes=human, names_only=True))
        assert found.barcodes.tolist() == BARCODES and found.matrix.shape == (6, 0)
        assert layout != "loom" or found.obs["Patient"].tolist() == ["P1", "P2"] * 3


def test_loom_that_names_no_cells(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(BrainmetError, match=r"has no names of cells \(there are Patient, wells\)"):
        run("loom", [write_loom(tmp_path / "a.loom", cells="wells")], human)
    (tmp_path / "b.loom").write_bytes(b"no HDF5")
    with pytest.raises(BrainmetError, match="cannot be read as loom"):
        run("loom", [tmp_path / "b.loom"], human)


# --- one file per cell ------------------------------------------------------------------------------------------------


def plate(path: Path, *, odd: bool = False) -> Path:
    with tarfile.open(path, "w") as tar:
        for i, barcode in enumerate(BARCODES):
            names = SYMBOLS[::-1] if odd and i == 3 else SYMBOLS
            text = "".join(f"{g} \t{v}\n" for g, v in zip(names, counts()[:, i], strict=True)) + "no_feature\t99\n"
            data = gzip.compress(text.encode())
            info = tarfile.TarInfo(f"GSM{i}_{barcode}.csv.gz")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_files_of_one_cell(tmp_path: Path, human: GeneTable) -> None:
    same(run("dense_text", [plate(tmp_path / "RAW.tar")], human), counts())


@pytest.mark.parametrize(
    ("suffix", "header", "row"),
    [
        (".genes.results", "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM", "{g}\tT\t9\t8\t{n}.00\t1.5\t2.5"),  # noqa: E501
        ("_ReadsPerGene.out.tab", "N_unmapped\t5\t6\t7", "{g}\t{n}\t1\t2"),
        (".quant.genes.sf", "Name\tLength\tEffectiveLength\tTPM\tNumReads", "{g}\t900\t800.5\t3.25\t{n}"),
        (".featureCounts.txt", "# Program:featureCounts\nGeneid\tChr\tStart\tEnd\tStrand\tLength\tx.bam", "{g}\tchr1\t1\t9\t+\t8\t{n}"),  # noqa: E501
        ("_counts.txt", "gene_id\tsymbol\tcount", "{g}\t{g}\t{n}"),
    ],
    ids=["RSEM", "STAR", "salmon", "featureCounts", "id, name and count"],
)  # fmt: skip
def test_files_of_one_cell_by_quantifiers(tmp_path: Path, human: GeneTable, suffix: str, header: str, row: str) -> None:
    X = counts()
    with tarfile.open(tmp_path / "RAW.tar", "w") as tar:
        for j, barcode in enumerate(BARCODES):
            lines = [header, *(row.format(g=g, n=n) for g, n in zip(SYMBOLS, X[:, j], strict=True))]
            data = gzip.compress("\n".join(lines).encode())
            info = tarfile.TarInfo(f"GSM{j}_{barcode}{suffix}.gz")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    same(run("dense_text", [tmp_path / "RAW.tar"], human, values="unknown"), X)


def test_a_table_of_many_cells_is_not_cut_into_fields() -> None:
    table = b"gene" + b"\tc" * 3_000 + b"\n" + (b"g" + b"\t0" * 3_000 + b"\n") * 100
    tracemalloc.start()
    assert one_cell._column(table) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(table)


def test_files_of_one_cell_with_other_genes_are_refused(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(BrainmetError, match=f"{BARCODES[3]}.* lists other genes than {BARCODES[0]}"):
        run("dense_text", [plate(tmp_path / "RAW.tar", odd=True)], human)


# --- every droplet ----------------------------------------------------------------------------------------------------


def droplets() -> tuple[np.ndarray, list[str]]:
    """Ten genes × 40 barcodes: six cells among empty ones."""
    X = np.zeros((10, 40), int)
    X[0] = 1
    X[:, [3, 9, 10, 20, 30, 39]] = counts() * 100
    names = [f"{'ACGT'[i % 4] * 8}{'ACGT'[i // 4 % 4] * 4}{'ACGT'[i // 16] * 4}-1" for i in range(40)]
    return X, names


def write_h5(path: Path, X: np.ndarray, names: list[str]) -> Path:
    stored = sp.csc_matrix(X)
    with h5py.File(path, "w") as file:
        for key in ("data", "indices", "indptr"):
            file[f"matrix/{key}"] = getattr(stored, key)
        file["matrix/shape"], file["matrix/barcodes"] = np.array(X.shape), np.array(names, "S")
        file["matrix/features/id"] = file["matrix/features/name"] = np.array(SYMBOLS, "S")
        file["matrix/features/feature_type"] = np.array(["Gene Expression"] * 10, "S")
    return path


@pytest.mark.parametrize("layout", ["tenx_h5", "tenx_triplet"])
def test_empty_droplets_are_left_out(
    tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    from brainmet.ingest import tenx_h5, tenx_triplet

    X, names = droplets()
    files = (
        [write_h5(tmp_path / "raw.h5", X, names)] if layout == "tenx_h5" else write_triplet(tmp_path, X, barcodes=names)
    )
    assert run(layout, files, human).matrix.shape[0] == 40
    for module in (raw, tenx_h5, tenx_triplet):
        monkeypatch.setattr(module, "RAW_BARCODES", 16)
    result = run(layout, files, human)
    assert [c.split(":")[1] for c in result.cells.index] == [names[i] for i in (3, 9, 10, 20, 30, 39)]
    assert result.matrix.sum() == counts().sum() * 100
    assert "40 raw barcodes, 34 with fewer than 100 counts left out" in result.lost["notes"].item()
    assert "every droplet" in result.uns["caution"]
    (tmp_path / "cells.csv").write_text(",annotate\n" + "".join(f"{names[i][:-2]},x\n" for i in (3, 20, 5)))
    table = {"cells": {"file": "cells.csv", "barcode": ""}, "labels": {"column": "annotate", "map": {}}}
    result = run(layout, [*files, tmp_path / "cells.csv"], human, **table)
    assert [c.split(":")[1] for c in result.cells.index] == [names[i] for i in (3, 5, 20)]
    assert result.cells["author_label"].tolist() == ["x"] * 3 and "caution" not in result.uns


def test_small_cells_are_told_from_ambient_rna() -> None:
    """Tumour cells, T cells with a twentieth of their counts, and droplets of ambient RNA with as many as T cells."""
    rng = np.random.default_rng(0)
    tumour, t_cell = rng.dirichlet(np.full(400, 0.2), 2)
    ambient = 0.9 * tumour + 0.1 * t_cell
    sizes = rng.poisson(np.repeat([6_000, 300, 300], [100, 100, 600]))
    shares = np.repeat([0.9 * tumour + 0.1 * ambient, 0.9 * t_cell + 0.1 * ambient, ambient], [100, 100, 600], axis=0)
    X = sp.csr_matrix(rng.multinomial(sizes, shares))
    found = are_cells(X, rng.multinomial(100_000, ambient))
    assert found[:100].all() and found[100:200].mean() > 0.95 and found[200:].mean() < 0.02
    assert are_cells(X, rng.multinomial(100, ambient)).all(), "nothing is left out where ambient RNA is not known"
    every = raw.Raw(matrix=X, barcodes=np.arange(800).astype(str), names=np.arange(400).astype(str), name="m")
    assert "of the other 800 are like ambient RNA" in only_cells(every, 1e5 * ambient).notes[0]


@pytest.mark.parametrize("name", ["", "index", "Unnamed: 0"])
def test_unnamed_barcode_column(tmp_path: Path, human: GeneTable, name: str) -> None:
    (tmp_path / "cells.csv").write_text(",donor\n" + "".join(f"{b},P{i}\n" for i, b in enumerate(BARCODES)))
    files = [*write_triplet(tmp_path, counts()), tmp_path / "cells.csv"]
    result = run("tenx_triplet", files, human, cells={"file": "cells.csv", "barcode": name})
    assert result.cells["donor"].tolist() == [f"P{i}" for i in range(6)]


# --- one matrix, many samples: only the sample's part is read ---------------------------------------------------------


def test_columns_of_other_samples_are_skipped(
    tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{'AB'[i % 2]}_{b}" for i, b in enumerate(BARCODES)]
    path = tmp_path / "t.tsv"
    # Other samples' columns may hold anything: nobody reads them.
    text = dense(counts(), SYMBOLS, names, sep="\t").decode().split("\n")
    path.write_text("\n".join(text))
    seen = []
    whole = dense_text._body
    monkeypatch.setattr(
        dense_text, "_body", lambda s, form, *rest: (seen.append(form.kinds.tolist()), whole(s, form, *rest))[1]
    )
    result = run("dense_text", [path], human, split_by={"barcode": "^([AB])_"}, match="B")
    assert [c.split(":")[1] for c in result.cells.index] == names[1::2]
    assert (counts().sum(axis=0)[1::2] == result.matrix.sum(axis=1).A1).all()
    assert seen == [[1, 2, 0, 2, 0, 2, 0]]


# --- parsers against what wrote the text ------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(0, 2**31 - 1), st.just(0), st.floats(0, 1e6, allow_nan=False).map(lambda v: round(v, 4)), st.none()
)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=2, max_size=12),
    sep=st.sampled_from("\t,; "),
    end=st.sampled_from(["\n", "\r\n"]),
    quote=st.sampled_from(["", '"']),
    last=st.booleans(),
    block=st.integers(1, 64),
    missing=st.sampled_from(["NA", "", '""']),
    turned=st.booleans(),
    plain=st.sampled_from([0, 40, 1 << 20]),
)
def test_dense_parser(tmp_path_factory, values, sep, end, quote, last, block, missing, turned, plain) -> None:
    missing = "NA" if sep == " " else missing
    cells = [[missing if value is None else repr(value) for value in row] for row in values]
    rows = [sep.join([f"{quote}G{i}{quote}", *row]) for i, row in enumerate(cells)]
    text = end.join([sep.join(["x", "a", "b", "c"]), *rows]) + (end if last else "")
    path = tmp_path_factory.mktemp("d") / "t.txt"
    path.write_bytes(text.encode())
    member, before, room = Member("t.txt", path), dense_text.CHUNK, entries.PLAIN
    try:
        dense_text.CHUNK, entries.PLAIN = block, plain
        with member.open() as stream:
            head = dense_text._head(stream, member)
            form = table_format.recognise(head, member)
            found, texts, gaps = dense_text._body(stream, form, head[1:], member)
            matrix = found.turned().T if turned else found.as_written()
    finally:
        dense_text.CHUNK, entries.PLAIN = before, room
    assert texts[0].tolist() == [f"G{i}" for i in range(len(values))]
    written = np.array(values, float)
    assert np.allclose(matrix.toarray(), np.nan_to_num(written), rtol=1e-6)
    assert gaps.lines.tolist() == np.isnan(written).sum(axis=1).tolist()
    assert gaps.columns.tolist() == np.isnan(written).sum(axis=0).tolist()
    assert gaps.zeros == (written == 0).sum()


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(0, 10**6)), max_size=30, unique_by=lambda e: e[:2]
    ),
    tidy=st.booleans(),
    odd=st.sampled_from(["", "decimal", "blank", "windows"]),
    block=st.integers(1, 40),
)
def test_mtx_parser(tmp_path_factory, entries, tidy, odd, block) -> None:
    entries = sorted(entries, key=lambda e: (e[1], e[0])) if tidy else entries
    lines = [f"{a} {b} {c}" for a, b, c in entries]
    if lines and odd == "decimal":
        lines[-1] += ".0"
    if lines and odd == "blank":
        lines[len(lines) // 2] = lines[len(lines) // 2].replace(" ", "  ") + " "
    end = "\r\n" if odd == "windows" else "\n"
    path = tmp_path_factory.mktemp("m") / "m.mtx"
    head = f"%%MatrixMarket matrix coordinate integer general{end}%{end}9 7 {len(lines)}{end}"
    path.write_bytes((head + "".join(line + end for line in lines)).encode())
    wanted, before = np.zeros((9, 7)), matrix_market.CHUNK
    for a, b, c in entries:
        wanted[a - 1, b - 1] = c
    try:
        matrix_market.CHUNK = block
        found = matrix_market.read_matrix(Member("m.mtx", path))
    finally:
        matrix_market.CHUNK = before
    assert (found.toarray() == wanted).all()


def test_tidy_stops_where_it_is_not() -> None:
    def parse(text: bytes) -> tuple[int, int, int]:
        row, value = np.zeros(3, np.int32), np.zeros(3, np.int32)
        return kernels.parse_sorted_coordinates(
            np.frombuffer(text, np.uint8), row, value, np.zeros(4, np.int64), 5, 0, 0
        )

    assert parse(b"1 1 7\n2 1 8\n1 4 9\n") == (3, 3, 18)
    stops = {
        b"1 1 7\n6 1 8\n": "row too high", b"1 1 7\n1 5 8\n": "column too high", b"2 1 7\n1 1 8\n": "row falls", b"1 2 7\n1 1 8\n": "column falls",  # noqa: E501
        b"1 1 7\n1 1 8\n": "twice", b"1 1 7\n2 1 0.5\n": "decimal", b"1 1 7\n2 1 -5\n": "negative", b"1 1 7\n2 1 9999999999\n": "too large", b"1 1 7\n0 1 1\n": "zero",  # noqa: E501
    }  # fmt: skip
    for text, why in stops.items():
        assert parse(text)[2] == 6, why
    assert parse(b"1 1 1\n2 1 1\n3 1 1\n4 1 1\n")[2] == 18  # more than announced


def test_reading_ahead_passes_errors_and_stops() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 8:
                raise OSError("gone")
            return super().read(size)

    with pytest.raises(OSError, match="gone"):
        list(ahead(Broken(b"0123456789abcdef"), 4))
    blocks = ahead(io.BytesIO(bytes(1000)), 1)
    assert next(blocks) == b"\0"
    blocks.close()  # Joins its thread: a reader that stops early leaves nothing running.
    assert list(whole_lines(io.BytesIO(b"ab\ncd\nef"), 4)) == [b"ab\n", b"cd\n", b"ef\n"]
    assert record("x", [])["layout"] == "x"
