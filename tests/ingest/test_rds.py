"""R objects: Seurat 3 to 5, SingleCellExperiment and bare matrices, written as R would by rds2py's writer."""

import bz2
import errno
import gzip
import io
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from brainmet.knowledge.genes import GeneTable

from tests.ingest.test_ingest import BARCODES, SYMBOLS, counts, run, same


def text(*values: str) -> dict[str, Any]:
    return {"type": "string", "data": list(values)}


def named(**entries: Any) -> dict[str, Any]:
    return {"type": "vector", "data": list(entries.values()), "attributes": {"names": text(*entries)}}


def s4(class_name: str, package: str, **slots: Any) -> dict[str, Any]:
    return {"type": "S4", "class_name": class_name, "package_name": package, "attributes": slots}


def matrix(X: np.ndarray, rows: list[str], columns: list[str], *, names: bool = True) -> dict[str, Any]:
    stored = sp.csc_matrix(X.astype(float))
    stored.sort_indices()
    dimnames = [text(*rows), text(*columns)] if names else [{"type": "null"}, {"type": "null"}]
    return s4(
        "dgCMatrix",
        "Matrix",
        i=stored.indices.astype(np.int32),
        p=stored.indptr.astype(np.int32),
        Dim=np.array(X.shape, np.int32),
        Dimnames={"type": "vector", "data": dimnames},
        x=stored.data,
        factors={"type": "vector", "data": []},
    )


def logmap(names: list[str], layers: dict[str, list[bool]]) -> dict[str, Any]:
    held = np.array(list(layers.values()), dtype=bool)
    return {
        "type": "boolean",
        "data": held.ravel().tolist(),
        "attributes": {
            "dim": {"type": "integer", "data": [len(names), len(layers)]},
            "dimnames": {"type": "vector", "data": [text(*names), text(*layers)]},
        },
    }


def seurat(assay: dict[str, Any], cells: list[str] = BARCODES) -> dict[str, Any]:
    half = {
        "type": "integer",
        "data": [1, 1, 1, 2, 2, 2],
        "attributes": {"levels": text("tumour", "brain"), "class": text("factor")},
    }
    meta = named(Patient=text(*["P1", "P2"] * 3), kind=half)
    meta["attributes"] |= {"row.names": text(*cells), "class": text("data.frame")}
    return s4("Seurat", "SeuratObject", assays=named(RNA=assay), **{"meta.data": meta, "active.assay": text("RNA")})


def save(tree: dict[str, Any], path: Path) -> Path:
    from rds2py.lib_rds_parser import write_rds

    write_rds(tree, str(path))
    return path


def version3() -> dict[str, Any]:
    return seurat(s4("Assay", "SeuratObject", counts=matrix(counts(), SYMBOLS, BARCODES)))


def version5(layers: dict[str, slice]) -> dict[str, Any]:
    parts = {name: matrix(counts()[:, cut], [], [], names=False) for name, cut in layers.items()}
    whole = {name: [True] * len(SYMBOLS) for name in layers}
    cells = {name: [i in range(6)[cut] for i in range(6)] for name, cut in layers.items()}
    return seurat(
        s4(
            "Assay5",
            "SeuratObject",
            layers=named(**parts),
            features=logmap(SYMBOLS, whole),
            cells=logmap(BARCODES, cells),
        )
    )


def integers(X: np.ndarray) -> dict[str, Any]:
    return {"type": "integer", "data": X.ravel(order="F").tolist()}


def plain_matrix() -> dict[str, Any]:
    names = {"type": "vector", "data": [text(*SYMBOLS), text(*BARCODES)]}
    size = {"type": "integer", "data": [len(SYMBOLS), len(BARCODES)]}
    return integers(counts()) | {"attributes": {"dim": size, "dimnames": names}}


def data_frame(*, row_names: bool, factor: bool = False) -> dict[str, Any]:
    columns = dict(zip(BARCODES, map(integers, counts().T), strict=True))
    levels = {"levels": text(*reversed(SYMBOLS)), "class": text("factor")}
    coded = integers(np.arange(len(SYMBOLS), 0, -1)) | {"attributes": levels}
    tree = named(**columns) if row_names else named(gene=coded if factor else text(*SYMBOLS), **columns)
    rows = text(*SYMBOLS) if row_names else {"type": "integer", "data": [-(2**31), -len(SYMBOLS)]}
    tree["attributes"] |= {"row.names": rows, "class": text("data.frame")}
    return tree


@pytest.mark.parametrize(
    "tree",
    [
        version3(),
        version5({"counts": slice(None)}),
        version5({"counts.a": slice(0, 2), "counts.b": slice(2, 6)}),
        matrix(counts(), SYMBOLS, BARCODES),
        plain_matrix(),
        data_frame(row_names=True),
        data_frame(row_names=False),
        data_frame(row_names=False, factor=True),
    ],
    ids=[*("Seurat 3", "Seurat 5", "Seurat 5 split", "matrix", "plain matrix"), *("data.frame", "genes", "factor")],
)
def test_objects(tmp_path: Path, human: GeneTable, tree: dict[str, Any]) -> None:
    same(run("rds", [save(tree, tmp_path / "a.rds")], human), counts())


def test_single_cell_experiment(tmp_path: Path, human: GeneTable) -> None:
    assays = s4("SimpleAssays", "SummarizedExperiment", data=s4("SimpleList", "S4Vectors", listData=named(counts=matrix(counts(), SYMBOLS, BARCODES))))  # noqa: E501  # fmt: skip
    cells = s4("DFrame", "S4Vectors", listData=named(label=text(*"abcabc")), rownames=text(*BARCODES))
    tree = s4("SingleCellExperiment", "SingleCellExperiment", assays=assays, colData=cells, NAMES=text(*SYMBOLS))
    result = run("rds", [save(tree, tmp_path / "a.rds")], human, labels={"column": "label", "map": {"a": "astrocyte"}})
    same(result, counts())
    assert result.cells["author_cell_type"].tolist() == ["astrocyte", "", ""] * 2


def test_columns_of_an_object_split_it(tmp_path: Path, human: GeneTable) -> None:
    path = save(version3(), tmp_path / "a.rds")
    result = run("rds", [path], human, split_by={"obs": "Patient"}, match="P2", labels={"column": "kind", "map": {}})
    assert [cell.split(":")[1] for cell in result.cells.index] == BARCODES[1::2]
    assert result.cells["author_label"].tolist() == ["tumour", "brain", "brain"]


def test_gzipped_again_and_in_an_archive(tmp_path: Path, human: GeneTable) -> None:
    path = save(version3(), tmp_path / "a.rds")
    twice = tmp_path / "GSE1.rds.gz"
    twice.write_bytes(gzip.compress(path.read_bytes()))
    same(run("rds", [twice], human), counts())
    plain = tmp_path / "plain.rds"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    same(run("rds", [plain], human), counts())
    with tarfile.open(tmp_path / "RAW.tar", "w") as tar:
        info = tarfile.TarInfo("GSM1_A.rds")
        info.size = path.stat().st_size
        tar.addfile(info, io.BytesIO(path.read_bytes()))
    same(run("rds", [tmp_path / "RAW.tar"], human, match="GSM1_A"), counts())


def test_no_room_to_unpack_names_the_temporary_file(
    tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    packed = tmp_path / "a.rds.gz"
    packed.write_bytes(gzip.compress(save(plain_matrix(), tmp_path / "a.rds").read_bytes()))
    monkeypatch.setattr(shutil, "copyfileobj", fill)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(BrainmetError) as raised:
        run("rds", [packed], human)
    cause = raised.value.__cause__
    assert isinstance(cause, OSError) and Path(str(cause.filename)).parent == tmp_path


@pytest.mark.parametrize(
    "tree", [seurat(s4("Assay", "SeuratObject", data=matrix(counts(), SYMBOLS, BARCODES))), text("a"), matrix(counts(), [], [], names=False)]  # noqa: E501
)  # fmt: skip
def test_objects_without_counts_say_how_to_convert(tmp_path: Path, human: GeneTable, tree: dict[str, Any]) -> None:
    with pytest.raises(BrainmetError, match=r"a\.rds: .*writeMM"):
        run("rds", [save(tree, tmp_path / "a.rds")], human)


def test_a_workspace_is_named(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "GSM1_tumour.RData"
    path.write_bytes(gzip.compress(b"RDX3\nX\n"))
    with pytest.raises(BrainmetError, match=r"tumour\.RData: is a workspace of R, .* saveRDS"):
        run("rds", [path], human)


def test_no_r_object(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "a.rds"
    path.write_bytes(b"BZh9nothing")
    with pytest.raises(BrainmetError, match="is truncated or damaged"):
        run("rds", [path], human)
    path.write_bytes(bz2.compress(b"A\nnothing"))
    with pytest.raises(BrainmetError, match="is not an R object that can be read here"):
        run("rds", [path], human)
    path.write_bytes(gzip.compress(b"X\nnothing"))
    with pytest.raises(BrainmetError, match="cannot be read without R"):
        run("rds", [path], human)
