"""R objects: Seurat 2 to 5, SingleCellExperiment, matrices and workspaces, written by R and by rds2py.

`objects` holds what `objects.R` wrote by R itself; a slow test has the R of this machine write them anew.
"""

import bz2
import copy
import gzip
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from brainmet.knowledge.genes import GeneTable

from tests.ingest.test_ingest import BARCODES, CURRENT, SYMBOLS, counts, expected, run, same, table

OBJECTS = Path(__file__).parent / "objects"


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


def test_layers_in_another_order_than_the_table_of_cells(tmp_path: Path, human: GeneTable) -> None:
    """Seurat 5 splits layers by sample: their cells then stand sample by sample, those of the table as they were."""
    tree = version5({"counts.P1": slice(0, 6, 2), "counts.P2": slice(1, 6, 2)})
    result = run("rds", [save(tree, tmp_path / "a.rds")], human, cells={"columns": {"donor": "Patient"}})
    donors = dict(zip((cell.split(":")[1] for cell in result.cells.index), result.cells["donor"], strict=True))
    assert donors == dict(zip(BARCODES, ["P1", "P2"] * 3, strict=True))
    assert (table(result).loc[BARCODES, CURRENT] == expected(counts())).all(axis=None)


def test_logs_of_an_object_without_counts(tmp_path: Path, human: GeneTable) -> None:
    tree = seurat(s4("Assay", "SeuratObject", counts=matrix(np.zeros((0, 0)), [], []), data=matrix(np.log1p(counts()), SYMBOLS, BARCODES)))  # noqa: E501  # fmt: skip
    path = save(tree, tmp_path / "a.rds")
    with pytest.raises(BrainmetError, match="say values: log"):
        run("rds", [path], human)
    read = table(run("rds", [path], human, values="log"))
    np.testing.assert_allclose(read[CURRENT], np.log1p(expected(counts())), rtol=1e-6)


@pytest.mark.parametrize("tree", [plain_matrix(), data_frame(row_names=True)], ids=["matrix", "data.frame"])
def test_genes_that_are_missing_in_a_cell_are_left_out(tmp_path: Path, human: GeneTable, tree: dict[str, Any]) -> None:
    tree = copy.deepcopy(tree)
    cells = tree["data"] if isinstance(tree["data"][0], int) else tree["data"][0]["data"]
    cells[SYMBOLS.index("GFAP")] = -(2**31)  # NA
    read = table(run("rds", [save(tree, tmp_path / "a.rds")], human))
    whole = expected(counts()).drop(columns="GFAP")
    assert sorted(read.columns) == sorted(whole.columns) and (read[whole.columns] == whole).all(axis=None)


def test_corrected_counts_carry_a_caution(tmp_path: Path, human: GeneTable) -> None:
    tree = seurat(s4("SCTAssay", "Seurat", counts=matrix(counts(), SYMBOLS, BARCODES)))
    tree["attributes"]["assays"]["attributes"]["names"] = text("SCT")
    result = run("rds", [save(tree, tmp_path / "a.rds")], human)
    same(result, counts())
    assert "SCTransform" in result.uns["caution"]


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


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (seurat(s4("Assay", "SeuratObject")), "assay RNA: the slot counts is empty"),
        (s4("DelayedMatrix", "DelayedArray"), "a matrix of class DelayedMatrix"),
        (text("a"), "an object of class character"),
        (matrix(counts(), [], [], names=False), "no names of genes or cells"),
    ],
)
def test_objects_without_counts_say_how_to_convert(
    tmp_path: Path, human: GeneTable, tree: dict[str, Any], found: str
) -> None:
    with pytest.raises(BrainmetError, match=rf"a\.rds: .*{found}.*writeMM"):
        run("rds", [save(tree, tmp_path / "a.rds")], human)


def test_a_list_and_a_workspace_of_several_say_which(tmp_path: Path, human: GeneTable) -> None:
    path = save(named(P1=version3(), P2=version3(), about=text("a")), tmp_path / "a.rds")
    with pytest.raises(
        BrainmetError, match=r"a\.rds: holds 2 .*\['P1'\]\] \(Seurat\), .*saveRDS\(object\[\['P1'\]\], 'P1"
    ):
        run("rds", [path], human)
    with pytest.raises(
        BrainmetError, match=r"no counts can be found in it \(it holds object\[\['a'\]\] \(character\), "
    ):
        run("rds", [save(named(a=text("x"), b=text("y")), path)], human)


@pytest.mark.parametrize("path", sorted(OBJECTS.iterdir()), ids=lambda path: path.name)
def test_objects_of_r(path: Path, human: GeneTable) -> None:
    as_written(path, human)


@pytest.mark.slow
def test_objects_that_r_writes_now(tmp_path: Path, human: GeneTable) -> None:
    if not shutil.which("Rscript"):
        pytest.skip("Rscript is not installed")
    needed = "library(Seurat); library(SingleCellExperiment)"
    if (found := subprocess.run(["Rscript", "-e", needed], capture_output=True)).returncode:
        pytest.skip(f"R has no Seurat, or no SingleCellExperiment: {found.stderr[-200:]!r}")
    table = tmp_path / "counts.tsv"
    pd.DataFrame(counts(), SYMBOLS, BARCODES).to_csv(table, sep="\t")
    words = ["Rscript", str(OBJECTS.with_suffix(".R")), str(table), str(tmp_path / "objects")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    written = sorted((tmp_path / "objects").iterdir())
    assert [path.name for path in written] == sorted(path.name for path in OBJECTS.iterdir())
    for path in written:
        as_written(path, human)


def as_written(path: Path, human: GeneTable) -> None:
    """The counts are read, and of objects with a table of cells its columns by cell."""
    if not path.name.startswith(("seurat", "list", "experiment")) or path.stem in (
        "experiment_X",
        "experiment_droplets",
    ):
        same(run("rds", [path], human), counts())
        return
    columns = {"donor": "Patient", **{name: name for name in ("kind", "age", "day", "treated")}}
    if path.stem.startswith("experiment"):
        columns["run"] = "run"
    result = run("rds", [path], human, cells={"columns": columns})
    same(result, counts())
    cells = result.cells
    assert cells["donor"].tolist() == ["P1", "P2"] * 3
    assert cells["author_kind"].tolist() == ["", *["tumour"] * 5]
    assert cells["author_age"].tolist() == ["", *["63.5"] * 5]
    assert cells["author_day"].tolist()[:2] == ["2020-02-29", "2020-03-01"]
    assert cells["author_treated"].tolist() == ["", *["TRUE"] * 5]
    if "run" in columns:
        assert cells["author_run"].tolist() == ["1", "1", "2", "2", "2", "2"]


def test_no_r_object(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "a.rds"
    path.write_bytes(b"BZh9nothing")
    with pytest.raises(BrainmetError, match="is truncated or damaged"):
        run("rds", [path], human)
    path.write_bytes(bz2.compress(b"A\nnothing"))
    with pytest.raises(BrainmetError, match=r"a\.rds: cannot be read as an R object .*saveRDS"):
        run("rds", [path], human)
    path.write_bytes(gzip.compress(b"X\nnothing"))
    with pytest.raises(BrainmetError, match="is truncated or damaged"):
        run("rds", [path], human)
