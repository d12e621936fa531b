"""Files as archives and authors write them: every odd but plausible spelling of one sample gives the same counts."""

import bz2
import datetime
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from brainmet.errors import BrainmetError
from brainmet.ingest import tables_beside
from brainmet.ingest.members import Member, select
from brainmet.knowledge.genes import GeneTable, read_genes

from tests.ingest.test_ingest import BARCODES, CURRENT, HERE, SYMBOLS, counts, record, run, same, table, write_triplet
from tests.test_mirror import pack


def parts(X: np.ndarray) -> dict[str, bytes]:
    """The three files of a triplet by role."""
    entries = [f"{i + 1} {j + 1} {X[i, j]}" for j in range(X.shape[1]) for i in range(X.shape[0]) if X[i, j]]
    head = f"%%MatrixMarket matrix coordinate integer general\n{X.shape[0]} {X.shape[1]} {len(entries)}\n"
    return {
        "matrix": (head + "\n".join(entries) + "\n").encode(),
        "barcodes": "".join(f"{b}\n" for b in BARCODES).encode(),
        "features": "".join(f"id{s}\t{s}\n" for s in SYMBOLS).encode(),
    }


def frame(X: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(X, index=SYMBOLS, columns=BARCODES)


# --- triplets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("GSM1_P1.counts.mtx", "GSM1_P1.cells.tsv", "GSM1_P1.features.tsv"),
        ("GSM1_P1_Matrix.MTX", "GSM1_P1_Barcodes.TSV", "GSM1_P1_Genes.tsv"),
        ("GSM1_P1_counts.mtx", "GSM1_P1_cell_ids.txt", "GSM1_P1_gene_names.txt"),
        ("GSM1_P1_counts.mtx", "GSM1_P1_colnames.csv", "GSM1_P1_rownames.csv"),
        (
            "GSM1_P1_filtered_feature_bc_matrix_matrix.mtx",
            "GSM1_P1_filtered_feature_bc_matrix_barcodes.tsv",
            "GSM1_P1_filtered_feature_bc_matrix_features.tsv",
        ),
    ],
)
@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_names_and_compressions(
    tmp_path: Path, human: GeneTable, names: tuple[str, ...], suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    files = []
    for name, data in zip(names, parts(counts()).values(), strict=True):
        files.append(tmp_path / f"{name}{suffix}")
        files[-1].write_bytes(pack(data))
    same(run("tenx_triplet", files, human, match="GSM1_P1"), counts())


def test_row_numbers_in_front(tmp_path: Path, human: GeneTable) -> None:
    found = parts(counts())
    found["barcodes"] = ('"","x"\n' + "".join(f'"{i + 1}","{b}"\n' for i, b in enumerate(BARCODES))).encode()
    found["features"] = ("," + "gene\n" + "".join(f"{i},{s}\n" for i, s in enumerate(SYMBOLS))).encode()
    files = []
    for role, data in found.items():
        files.append(tmp_path / (f"{role}.mtx" if role == "matrix" else f"{role}.csv"))
        files[-1].write_bytes(data)
    same(run("tenx_triplet", files, human), counts())


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("cells_x_genes.mtx", "cells_x_genes.barcodes.txt", "cells_x_genes.genes.txt"), None),
        (("quants_mat.mtx", "quants_mat_rows.txt", "quants_mat_cols.txt"), None),
        (("count_matrix.mtx", "cell_metadata.csv", "all_genes.csv"), None),
        (("S1.mtx", "S1_types.csv", "S1_genes.csv"), {"file": "S1_types.csv", "barcode": "bc", "column": "bc"}),
    ],
    ids=["kallisto", "alevin-fry", "Parse Biosciences", "a table of labels for barcodes"],
)
def test_cells_as_rows_of_other_tools(
    tmp_path: Path, human: GeneTable, names: tuple[str, str, str], labels: dict[str, str] | None
) -> None:
    found = parts(counts().T)
    rows = {"x_genes": "", "quants": "", "count_": "bc_wells,sample\n", "S1": "bc,type\n"}
    head = next(text for name, text in rows.items() if name in names[0])
    cells = head + "".join(f"{b},T\n" if head else f"{b}\n" for b in BARCODES)
    for name, data in zip(names, (found["matrix"], cells.encode(), "\n".join(SYMBOLS).encode()), strict=True):
        (tmp_path / name).write_bytes(data)
    result = run("tenx_triplet", [tmp_path / name for name in names], human, labels=labels)
    same(result, counts())
    assert ("in its order" in result.lost["notes"].iloc[0]) == (labels is not None)


def kb_parts(folder: Path, words: tuple[str, ...], stem: str, *, own_lists: bool) -> list[Path]:
    """The counts of `counts()` in parts, cells × genes as kb-python writes them."""
    rng, files = np.random.default_rng(1), []
    X = counts()
    left = X.copy()
    for i, word in enumerate(words):
        part = left if i == len(words) - 1 else rng.binomial(left, 0.6)
        left = left - part
        order = np.arange(6)[:: -1 if own_lists and i else 1]
        found = parts(part[:, order].T)
        files.append(folder / f"{stem}{word}.mtx")
        files[-1].write_bytes(found["matrix"])
        if own_lists or i == 0:
            lists = f"{stem}{word}" if own_lists else stem.rstrip(".")
            (folder / f"{lists}.barcodes.txt").write_text("".join(f"{BARCODES[k]}\n" for k in order))
            (folder / f"{lists}.genes.txt").write_text("\n".join(SYMBOLS))
            files += [folder / f"{lists}.barcodes.txt", folder / f"{lists}.genes.txt"]
    return files


@pytest.mark.parametrize(
    ("words", "stem", "own_lists"),
    [
        (("mature", "nascent", "ambiguous"), "cells_x_genes.", False),
        (("spliced", "unspliced"), "", True),
    ],
    ids=["nac", "lamanno"],
)
def test_parts_of_kb_python_are_added(
    tmp_path: Path, human: GeneTable, words: tuple[str, ...], stem: str, own_lists: bool
) -> None:
    files = kb_parts(tmp_path, words, stem, own_lists=own_lists)
    result = run("tenx_triplet", files, human)
    same(result, counts())
    assert "the sum of" in result.lost["notes"].iloc[0]
    total = tmp_path / "cells_x_genes.total.mtx"
    total.write_bytes(parts(counts(3).T)["matrix"])
    if not own_lists:
        same(run("tenx_triplet", [*files, total], human), counts(3))
        return
    (tmp_path / "unspliced.genes.txt").write_text("\n".join([*SYMBOLS[:-1], "TP53"]))
    with pytest.raises(BrainmetError, match="parts of one count matrix that list different features"):
        run("tenx_triplet", files, human)


def test_samples_in_front_of_barcodes(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), gz=False)
    files[2].write_text("".join(f"P{i % 2}\t{b}\n" for i, b in enumerate(BARCODES)))
    same(run("tenx_triplet", files, human), counts())
    files[2].write_text("".join(f"P{i % 2}\t{BARCODES[i // 2]}\n" for i in range(6)))
    result = run("tenx_triplet", files, human, split_by={"barcode": "^(P[01])_"}, match="P1")
    assert result.matrix.sum() == counts()[:, 1::2].sum()


def test_array_of_matrix_market(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), gz=False)
    values = "\n".join(map(str, counts().ravel(order="F")))
    files[0].write_text(f"%%MatrixMarket matrix array integer general\n%made by R\n10 6\n{values}\n")
    same(run("tenx_triplet", files, human), counts())
    files[0].write_text("%%MatrixMarket matrix array integer general\n10 6\n1\n2\n")
    with pytest.raises(BrainmetError, match="is not the array of numbers that it announces"):
        run("tenx_triplet", files, human)


def test_folders_of_starsolo(tmp_path: Path, human: GeneTable) -> None:
    with zipfile.ZipFile(tmp_path / "solo.zip", "w") as archive:
        for folder, X in (("filtered", counts()), ("raw", counts(7))):
            for role, data in parts(X).items():
                archive.writestr(f"Solo.out/Gene/{folder}/{role}.{'mtx' if role == 'matrix' else 'tsv'}", data)
        estimated = b"%%MatrixMarket matrix coordinate real general\n10 6 1\n1 1 1.5\n"
        archive.writestr("Solo.out/Gene/filtered/UniqueAndMult-EM.mtx", estimated)
    same(run("tenx_triplet", [tmp_path / "solo.zip"], human), counts())


@pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])
def test_a_folder_a_sample_with_raw_beside_filtered(tmp_path: Path, human: GeneTable, kind: str) -> None:
    members = {}
    for sample, seed in (("S1", 0), ("S10", 1)):
        for folder, X in (("filtered", counts(seed)), ("raw", counts(7))):
            for role, data in parts(X).items():
                base = {"matrix": "matrix.mtx.gz", "barcodes": "barcodes.tsv.gz", "features": "genes.tsv.gz"}[role]
                members[f"out/{sample}/{folder}_gene_bc_matrices/GRCh38/{base}"] = gzip.compress(data)
    path = tmp_path / f"all.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    same(run("tenx_triplet", [path], human, match="S1"), counts(0))
    same(run("tenx_triplet", [path], human, match="S10"), counts(1))
    with pytest.raises(BrainmetError, match=r"match: S2: .*there are all/out/S1/.*barcodes"):
        run("tenx_triplet", [path], human, match="S2")


def test_counts_of_one_of_several_kinds_of_starsolo(tmp_path: Path, human: GeneTable) -> None:
    members = {}
    for kind, factor in (("Gene", 1), ("GeneFull", 2)):
        for path in write_triplet(tmp_path, factor * counts(), gz=False):
            members[f"S1/Solo.out/{kind}/filtered/{path.name}"] = path.read_bytes()
    pack(tmp_path / "runs.tar.gz", members)
    with pytest.raises(BrainmetError, match=r"2 files can be its matrix .* match may be a path too, such as runs/S1"):
        run("tenx_triplet", [tmp_path / "runs.tar.gz"], human, match="S1")
    same(run("tenx_triplet", [tmp_path / "runs.tar.gz"], human, match="runs/S1/Solo.out/Gene"), counts())


@pytest.mark.parametrize("folder", ["", "filtered_feature_bc_matrix/"])
def test_an_archive_a_sample(tmp_path: Path, human: GeneTable, folder: str) -> None:
    paths = write_triplet(tmp_path, counts(), gz=False)
    pack(tmp_path / "GSM1_A.tar.gz", {folder + path.name: path.read_bytes() for path in paths})
    same(run("tenx_triplet", [tmp_path / "GSM1_A.tar.gz"], human, match="GSM1_A"), counts())


def test_lists_beside_the_matrix_are_its_own(tmp_path: Path, human: GeneTable) -> None:
    paths = write_triplet(tmp_path, counts(), gz=False)
    members = {f"S1/outs/filtered_feature_bc_matrix/{path.name}": path.read_bytes() for path in paths}
    members["S1/outs/analysis/diffexp/features.csv"] = b"Feature ID,Cluster 1\n"
    members["S1/outs/analysis/barcodes.csv"] = b"Barcode\n"
    pack(tmp_path / "runs.tar", members)
    same(run("tenx_triplet", [tmp_path / "runs.tar"], human, match="S1"), counts())


def test_a_bomb_in_an_archive_is_refused(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("counts.csv", b"0" * (1 << 28))
    with pytest.raises(BrainmetError, match="expands more than 1000 fold"):
        run("dense_text", [path], human)


@pytest.mark.parametrize("name", ["../evil.mtx", "/etc/evil"])
def test_a_zip_that_points_outside_is_refused(tmp_path: Path, human: GeneTable, name: str) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(BrainmetError, match="points outside the archive; refused"):
        run("tenx_triplet", [path], human)


# --- dense tables -----------------------------------------------------------------------------------------------------


def with_genes(X: np.ndarray, **columns: object) -> pd.DataFrame:
    found = frame(X).reset_index(drop=True)
    for at, (name, values) in enumerate(columns.items()):
        found.insert(at, name, values)
    return found


TABLES: dict[str, Callable[[np.ndarray], bytes]] = {
    "comments and blank lines above": lambda X: b"# made by us\n\n#2020\n" + frame(X).to_csv(sep="\t").encode(),
    "UTF-16": lambda X: frame(X).to_csv(sep="\t").encode("utf-16"),
    "genes last": lambda X: frame(X).reset_index(drop=True).assign(gene=SYMBOLS).to_csv(sep="\t", index=False).encode(),
    "row numbers, then genes": lambda X: with_genes(X, gene=SYMBOLS).to_csv().encode(),
    "featureCounts": lambda X: (
        b"# Program:featureCounts v2.0.1\n"
        + with_genes(X, Geneid=SYMBOLS, Chr="chr1;chr1", Start=100, End=9000, Strand="+", Length=1500)
        .to_csv(sep="\t", index=False)
        .encode()
    ),
    "Ensembl's BioMart beside": lambda X: (
        with_genes(X, gene=SYMBOLS, chromosome_name=7, start_position=100, end_position=900, ncbi_gene_id=2064)
        .to_csv(sep="\t", index=False)
        .encode()
    ),
    "GenePattern": lambda X: (
        b"#1.2\n10\t6\n" + with_genes(X, Name=SYMBOLS, Description="na").to_csv(sep="\t", index=False).encode()
    ),
    "single quotes": lambda X: frame(X).rename(index="'{}'".format, columns="'{}'".format).to_csv().encode(),
    "rows of totals": lambda X: (
        pd.concat([pd.DataFrame([X.sum(axis=0)] * 2, ["nUMI", "nGene"], BARCODES), frame(X)]).to_csv().encode()
    ),
    "one value a line": lambda X: (
        frame(X)
        .rename_axis("gene")
        .reset_index()
        .melt("gene", var_name="cell", value_name="count")
        .to_csv(sep="\t", index=False)
        .encode()
    ),
    "decimals": lambda X: frame(X).astype(float).to_csv().encode(),
    "blanks for zeros": lambda X: frame(X).astype(object).where(frame(X) > 0, "").to_csv().encode(),
    "NA for zeros": lambda X: frame(X).astype(object).where(frame(X) > 0, "NA").to_csv().encode(),
    "cells as rows, about them": lambda X: (
        frame(X).T.assign(nCount_RNA=X.sum(axis=0), percent_mito=1.5, cluster=3, kind="T cell").to_csv().encode()
    ),
    "cells as rows, numbered": lambda X: frame(X).T.rename_axis("cell").reset_index().to_csv().encode(),
    "decimal commas": lambda X: (
        frame(X).map("{:.1f}".format).map(lambda v: v.replace(".", ",")).to_csv(sep=";").encode()
    ),
    "carriage returns": lambda X: frame(X).to_csv(lineterminator="\r").encode(),
    "UTF-16 with carriage returns": lambda X: frame(X).to_csv(lineterminator="\r").encode("utf-16"),
    "lines of separators at the end": lambda X: frame(X).to_csv().encode() + b",,,,,,\r\n \r\n\r\n",
    "a column of totals": lambda X: frame(X).assign(Total=X.sum(axis=1)).to_csv().encode(),
    "a line about the cells": lambda X: (
        ("\t".join(["", *BARCODES]) + "\n" + "\t".join(["cell type", *["T cell"] * 6]) + "\n").encode()
        + frame(X).to_csv(sep="\t", header=False).encode()
    ),
}


def test_carriage_returns_behind_the_first_lines(tmp_path: Path, human: GeneTable) -> None:
    """Joined of two systems' files: more lines than line feeds, for which there must be room."""
    X = counts()
    empty = pd.DataFrame(0, [f"none_{i}" for i in range(3000)], BARCODES)
    lines = pd.concat([empty[:60], frame(X), empty[60:]]).to_csv(sep="\t").splitlines()
    (tmp_path / "t.tsv").write_text("\n".join(lines[:50]) + "\n" + "\r".join(lines[50:]) + "\n")
    same(run("dense_text", [tmp_path / "t.tsv"], human), X)


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path: Path, human: GeneTable, name: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(TABLES[name](counts()))
    same(run("dense_text", [path], human), counts())


@pytest.mark.parametrize(
    ("name", "column"), [("cells as rows, about them", "kind"), ("a line about the cells", "cell type")]
)
def test_what_a_table_says_of_its_cells_can_label_them(
    tmp_path: Path, human: GeneTable, name: str, column: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(TABLES[name](counts()))
    labels = {"column": column, "map": {"T cell": "t_cell"}}
    assert set(run("dense_text", [path], human, labels=labels).cells["author_cell_type"]) == {"t_cell"}


def test_a_column_of_one_word_that_is_a_gene_too_names_no_genes(tmp_path: Path, human: GeneTable) -> None:
    lines = [f"{b},P1,T cell,9," + ",".join(map(str, x)) for b, x in zip(BARCODES, counts().T, strict=True)]
    path = tmp_path / "counts.csv"
    path.write_text("\n".join([",".join(["cell", "patient", "label", "nCount_RNA", *SYMBOLS]), *lines]))
    result = run("dense_text", [path], human, cells={"columns": {"donor": "patient"}}, labels={"column": "label"})
    same(result, counts())
    assert set(result.cells["donor"]) == {"P1"} and set(result.cells["author_label"]) == {"T cell"}


def test_tables_that_are_none_are_refused(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "t.csv"
    long = frame(counts(cells=10)[:, :6]).rename_axis("gene").reset_index().melt("gene", var_name="cell")
    long.assign(gene=long["gene"].map("patient_{}".format)).to_csv(path, index=False)
    with pytest.raises(BrainmetError, match=r"one value per line, of .*, and has no column of genes; give it as"):
        run("dense_text", [path], human)
    frame(counts()).replace(0, "-").to_csv(path)
    with pytest.raises(BrainmetError, match=r"- stands among the numbers of column \d \([ACGT]{16}-1\); write 0 where"):
        run("dense_text", [path], human)
    frame(counts()).replace(0, "§").to_csv(path, encoding="latin-1")
    with pytest.raises(BrainmetError, match="\N{REPLACEMENT CHARACTER} stands among the numbers"):
        run("dense_text", [path], human)
    frame(counts()).to_csv(path, header=False)
    with pytest.raises(BrainmetError, match="first line holds numbers where the names of the cells are expected"):
        run("dense_text", [path], human)


def test_genes_that_some_cells_lack_are_left_out(tmp_path: Path, human: GeneTable) -> None:
    X = frame(counts()).astype(object)
    X.iloc[3, :2] = "NA"
    path = tmp_path / "t.csv"
    path.write_text(X.to_csv())
    result = run("dense_text", [path], human)
    assert sorted(result.genes["symbol"]) == sorted(set(CURRENT) - {"PTPRC"})
    assert "1 genes without a value in every cell left out" in result.lost["notes"].iloc[0]
    # Another sample's gaps are not this one's: its columns are not read.
    other = X.set_axis([f"{'A' if i < 2 else 'B'}_{b}" for i, b in enumerate(BARCODES)], axis=1)
    path.write_text(other.to_csv())
    result = run("dense_text", [path], human, split_by={"barcode": "^([AB])_"}, match="B")
    assert sorted(result.genes["symbol"]) == sorted(CURRENT)


def _written(X: pd.DataFrame, path: Path) -> Path:
    writers = {".csv": X.to_csv, ".parquet": X.to_parquet, ".xlsx": X.to_excel}
    writers[path.suffix](path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xlsx"])
@pytest.mark.parametrize("turned", [False, True])
def test_zeros_that_a_table_leaves_blank_are_zeros(tmp_path: Path, human: GeneTable, suffix: str, turned: bool) -> None:
    if turned and suffix == "xlsx":
        pytest.skip("a workbook holds genes as rows")
    X = frame(counts(genes=10))
    blank = X.where(X > 0)
    path = _written(blank.T if turned else blank, tmp_path / f"t.{suffix}")
    result = run("dense_text", [path], human)
    same(result, X.to_numpy())
    assert "a blank or NA is a zero: the table writes no zero" in result.lost["notes"].item()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xlsx"])
def test_gaps_among_written_zeros_are_missing_values(tmp_path: Path, human: GeneTable, suffix: str) -> None:
    X = frame(counts()).astype(float)
    X.iloc[3, :2] = np.nan
    result = run("dense_text", [_written(X, tmp_path / f"t.{suffix}")], human)
    assert sorted(result.genes["symbol"]) == sorted(set(CURRENT) - {"PTPRC"})
    X.iloc[:6, 1] = np.nan
    with pytest.raises(BrainmetError, match=r"6 of 10 genes have no value in some cell .*write 0 where a blank means"):
        run("dense_text", [_written(X, tmp_path / f"t.{suffix}")], human)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_what_arrays_lack_is_no_zero(tmp_path: Path, human: GeneTable, suffix: str) -> None:
    X = frame(np.random.default_rng(0).uniform(4, 14, (10, 6)))
    X.iloc[3, 2] = np.nan
    result = run("bulk", [_written(X, tmp_path / f"t.{suffix}")], human, suspension="bulk", values="log")
    assert sorted(result.genes["symbol"]) == sorted(set(CURRENT) - {"PTPRC"})


def test_a_cell_without_values_is_named(tmp_path: Path, human: GeneTable) -> None:
    X = frame(counts()).astype(object)
    X.iloc[:, 0] = "NA"
    path = tmp_path / "t.csv"
    path.write_text(X.to_csv())
    with pytest.raises(BrainmetError, match=r"10 of 10 genes have no value in some cell \(such as ERBB2\)"):
        run("dense_text", [path], human)


@pytest.mark.parametrize("layout", ["dense_text", "bulk"])
def test_workbooks_with_titles_and_dates(tmp_path: Path, human: GeneTable, layout: str) -> None:
    X = counts()
    names = [*SYMBOLS[:-1], datetime.datetime(2021, 9, 7)]
    sheet = pd.DataFrame([["Table S1"], [None], ["gene", *BARCODES], *([n, *r] for n, r in zip(names, X, strict=True))])
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"about": ["this file"]}).to_excel(book, sheet_name="README", index=False)
        sheet.to_excel(book, sheet_name="counts", index=False, header=False)
    result = run(layout, [path], human, suspension="bulk" if layout == "bulk" else "cell")
    assert sorted(result.genes["symbol"]) == sorted([*CURRENT[:-1], "SEPTIN7"])
    assert result.matrix.sum() == X.sum() and result.matrix.shape[0] == 6


# --- what belongs to a sample -----------------------------------------------------------------------------------------


def _labels(path: Path, form: str) -> None:
    """Types of the cells in one of the forms that authors give them."""
    pairs = pd.DataFrame({"bc": BARCODES, "type": ["T cell"] * 6})
    text = {
        "csv.zip": pairs.to_csv(index=False),
        "txt": '"type" "sub"\n' + "".join(f'"{b}" "T cell" "a b"\n' for b in BARCODES),
        "csv": "# ours\n# 2021\n\n" + pairs.to_csv(index=False),
        "blanks.csv": pairs.to_csv(index=False).replace(",", " , ").replace("\n", " \n"),
    }
    if form == "xlsx":
        with pd.ExcelWriter(path) as book:
            pd.DataFrame({"Read": ["me"]}).to_excel(book, sheet_name="about", index=False)
            titled = [["Table S2", None], [None, None], ["bc", "type"], *pairs.to_numpy().tolist()]
            pd.DataFrame(titled).to_excel(book, sheet_name="cells", index=False, header=False)
    elif form == "csv.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("labels.csv", text[form])
    else:
        path.write_text(text[form])


def test_labels_in_the_encoding_of_windows(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(("bc,type\n" + "".join(f"{b},Tumour – cycling\n" for b in BARCODES)).encode("cp1252"))
    labels = {"file": path.name, "barcode": "bc", "column": "type", "map": {"Tumour – cycling": "malignant_epithelial"}}
    result = run("tenx_triplet", [*write_triplet(tmp_path, counts()), path], human, labels=labels)
    assert set(result.cells["author_cell_type"]) == {"malignant_epithelial"}


@pytest.mark.parametrize("form", ["xlsx", "csv.zip", "txt", "csv", "blanks.csv"])
def test_tables_of_labels(tmp_path: Path, human: GeneTable, form: str) -> None:
    path = tmp_path / f"labels.{form}"
    _labels(path, form)
    labels = {
        "file": path.name,
        "barcode": "" if form == "txt" else "bc",
        "column": "type",
        "map": {"T cell": "t_cell"},
    }
    result = run("tenx_triplet", [*write_triplet(tmp_path, counts()), path], human, labels=labels)
    assert set(result.cells["author_cell_type"]) == {"t_cell"}


def test_samples_without_labels_are_kept(tmp_path: Path, human: GeneTable, caplog: pytest.LogCaptureFixture) -> None:
    files = write_triplet(tmp_path, counts(), prefix="GSM1_A_") + write_triplet(tmp_path, counts(), prefix="GSM2_B_")
    (tmp_path / "GSM1_A_types.csv").write_text("bc,type\n" + "".join(f"{b[:-2]},T\n" for b in BARCODES))
    files.append(tmp_path / "GSM1_A_types.csv")
    labels = {"file": "types.csv", "barcode": "bc", "column": "type", "map": {"T": "t_cell"}}
    assert set(run("tenx_triplet", files, human, match="GSM1_A", labels=labels).cells["author_cell_type"]) == {"t_cell"}
    assert set(run("tenx_triplet", files, human, match="GSM2_B", labels=labels).cells["author_label"]) == {""}
    assert "no file of the sample ends with types.csv; its cells stay without labels" in caplog.text


@pytest.mark.parametrize(
    ("id_", "values", "own"),
    [
        ("BM1_1", ["BM11", "BM2"], []),
        ("P1_1", ["P11", "P1-1"], ["P1-1"]),
        ("GSM1_BrM-01", ["BrM01", "BrM011"], ["BrM01"]),
        ("P-1", ["GSM1_P1", "GSM2_P1"], []),
    ],
)
def test_rows_of_a_sample_are_not_those_of_one_spelled_alike(
    tmp_path: Path, id_: str, values: list[str], own: list[str]
) -> None:
    pd.DataFrame({"barcode": BARCODES[: len(values)], "who": values}).to_csv(tmp_path / "m.csv", index=False)
    record = {"id": id_, "cells": {"file": "m.csv", "sample": "who"}}
    rows, key = tables_beside._rows_of_sample(record, {"cells": Member("m.csv", tmp_path / "m.csv")}, "cells")
    assert (rows["who"].tolist(), key) == (own, "barcode")


def test_a_path_is_a_match_from_any_of_its_folders_on() -> None:
    found = [
        Member("matrix.mtx", Path("GSE1_RAW.tar"), (f"S1/Solo.out/{kind}/matrix.mtx",), ("GSE1_RAW",))
        for kind in ("Gene", "GeneFull")
    ]
    for match in ("S1/Solo.out/Gene", "GSE1_RAW/S1/Solo.out/Gene"):
        assert select(found, match) == found[:1]


def test_rows_of_another_sample_leave_this_one_without_labels(
    tmp_path: Path, human: GeneTable, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_triplet(tmp_path, counts())
    files.append(tmp_path / "meta.csv")
    files[-1].write_text("bc,who,type\n" + "".join(f"{b},other,T\n" for b in BARCODES))
    labels = {"file": "meta.csv", "barcode": "bc", "column": "type", "sample": "who", "map": {}}
    assert set(run("tenx_triplet", files, human, labels=labels).cells["author_label"]) == {""}
    assert "no row has who S (there are other); the cells stay without labels" in caplog.text


def test_a_sample_is_known_in_a_table_without_marks_and_accession(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), prefix="GSM1_BrM-01_")
    files.append(tmp_path / "meta.csv")
    rows = [f"{b},{name},{name}" for name in ("GSM9_BrM01", "BrM02") for b in BARCODES]
    files[-1].write_text("\n".join(["bc,orig.ident,type", *rows]))
    labels = {"file": "meta.csv", "barcode": "bc", "column": "type", "sample": "orig.ident", "map": {}}
    found = run("tenx_triplet", files, human, labels=labels, id="A", match="GSM1_BrM-01").cells
    assert set(found["author_label"]) == {"GSM9_BrM01"}


def test_mouse_samples_of_a_human_series_are_kept_apart(tmp_path: Path, human: GeneTable) -> None:
    mouse = read_genes(HERE / "resources/genes/mouse.tsv.gz")
    theirs = ["Erbb2", "Epcam", "Krt8", "Ptprc", "Cd3e", "Gfap", "Ccn2", "H2az1", "Malat1", "Actb"]
    files = write_triplet(tmp_path, counts(), prefix="GSM1_Breast_")
    files += write_triplet(tmp_path, counts(1), prefix="GSM2_Mouse_", symbols=theirs)
    same(run("tenx_triplet", files, human, match="GSM1_Breast"), counts())
    same(run("tenx_triplet", files, human, mouse, match="GSM2_Mouse", organism="mouse"), counts(1))
    with pytest.raises(BrainmetError, match="set organism: mouse"):
        run("tenx_triplet", files, human, match="GSM2_Mouse")


def test_a_bulk_sample_of_one_profile_is_described_by_its_entry(tmp_path: Path, human: GeneTable) -> None:
    path = tmp_path / "t.csv"
    path.write_text(frame(counts() + 5).to_csv())
    how = {"suspension": "bulk", "split_by": {"barcode": "^(.*)$"}, "match": BARCODES[1]}
    cells = run("bulk", [path], human, **how).cells
    assert cells["donor"].tolist() == ["P1"] and cells["condition"].tolist() == ["primary"]


def test_covariates_are_carried_with_the_cells(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts())
    cells = run("tenx_triplet", files, human, covariates={"bmi": "24"}).cells
    assert set(cells["author_bmi"]) == {"24"}


def test_the_record_of_the_tests_is_that_of_a_run() -> None:
    from brainmet import datasets

    entry = datasets.read(HERE / "resources/datasets/GSE234832.yaml")
    assert set(record("tenx_triplet", [])) <= set(next(iter(datasets.records({"D": entry}, exclude=[]).values())))


# --- several matrices in one file -------------------------------------------------------------------------------------


def scaled(X: np.ndarray) -> np.ndarray:
    logs = np.log1p(X / X.sum(axis=0) * 1e4)
    return (logs - logs.mean(axis=1, keepdims=True)) / (logs.std(axis=1, keepdims=True) + 1e-9)


def write_loom(path: Path, matrix: np.ndarray, layers: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        file["matrix"] = matrix
        for name, values in layers.items():
            file[f"layers/{name}"] = values
        file["row_attrs/Gene"], file["col_attrs/CellID"] = SYMBOLS, BARCODES
    return path


def test_loom_with_counts_in_a_layer(tmp_path: Path, human: GeneTable) -> None:
    X = counts()
    same(run("loom", [write_loom(tmp_path / "a.loom", scaled(X), {"umi": X})], human), X)
    parts = {"spliced": X // 2, "unspliced": X - X // 2, "ambiguous": 0 * X}
    same(run("loom", [write_loom(tmp_path / "b.loom", X, parts)], human), X)


def test_h5ad_with_spliced_and_unspliced_counts(tmp_path: Path, human: GeneTable) -> None:
    """Where nothing else holds counts, their sum does; an empty layer holds none."""
    X = counts()
    data = anndata.AnnData(scaled(X).T, pd.DataFrame(index=BARCODES), pd.DataFrame(index=SYMBOLS))
    data.layers["empty"] = np.zeros_like(X.T)
    for name, values in {"spliced": X // 2, "unspliced": X - X // 2, "ambiguous": 0 * X}.items():
        data.layers[name] = values.T
    data.write_h5ad(tmp_path / "a.h5ad")
    result = run("h5ad", [tmp_path / "a.h5ad"], human)
    same(result, X)


def test_a_number_that_some_cells_lack_is_whole(tmp_path: Path, human: GeneTable) -> None:
    obs = pd.DataFrame({"lane": [1, 1, 2, 2, np.nan, np.nan], "x": [0.5, np.nan, 1, 1, 1, 1]}, index=BARCODES)
    anndata.AnnData(counts().T.astype(np.float32), obs=obs, var=pd.DataFrame(index=SYMBOLS)).write_h5ad(
        tmp_path / "a.h5ad"
    )
    found = run("h5ad", [tmp_path / "a.h5ad"], human, split_by={"obs": "lane"}, match="2").cells
    assert [cell.split(":")[1] for cell in found.index] == BARCODES[2:4]
    found = run("h5ad", [tmp_path / "a.h5ad"], human, labels={"column": "x"}).cells
    assert found["author_label"].tolist()[:3] == ["0.5", "", "1.0"]


def test_donors_from_columns_of_the_matrix(tmp_path: Path, human: GeneTable) -> None:
    """Many donors in one object: each cell takes its donor from obs; a column that is not there is named."""
    donors = ["D1", "D1", "D2", "D2", "D2", "D3"]
    obs = pd.DataFrame({"donor_id": pd.Categorical(donors), "age": [50.0] * 6, "type": ["T"] * 6}, index=BARCODES)
    anndata.AnnData(counts().T, obs, pd.DataFrame(index=SYMBOLS)).write_h5ad(tmp_path / "a.h5ad")
    labels = {"column": "type", "map": {"T": "t_cell"}}
    cells = {"columns": {"donor": "donor_id", "age": "age"}}
    result = run("h5ad", [tmp_path / "a.h5ad"], human, cells=cells, labels=labels).cells
    assert result["donor"].tolist() == donors and set(result["author_age"]) == {"50"}
    assert set(result["author_cell_type"]) == {"t_cell"} and "author_type" not in result
    with pytest.raises(BrainmetError, match=r"cells: columns: obs has no column patient \(age, donor_id, type\)"):
        run("h5ad", [tmp_path / "a.h5ad"], human, cells={"columns": {"donor": "patient"}})


def test_conditions_from_a_column_of_the_matrix(
    tmp_path: Path, human: GeneTable, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that the entry does not map takes the sample's condition and is named."""
    obs = pd.DataFrame({"tissue": ["brain", "liver", "brain", "pleura", "liver", "pleura"]}, index=BARCODES)
    anndata.AnnData(counts().T, obs, pd.DataFrame(index=SYMBOLS)).write_h5ad(tmp_path / "a.h5ad")
    conditions = {"brain": "brain_metastasis", "liver": "extracranial_metastasis"}
    cells = {"columns": {"condition": "tissue"}, "conditions": conditions}
    found = run("h5ad", [tmp_path / "a.h5ad"], human, cells=cells, condition="other").cells["condition"].tolist()
    assert found == [conditions.get(tissue, "other") for tissue in obs["tissue"]]
    assert "not in cells: conditions: pleura (2 cells)" in caplog.text


def test_columns_of_the_cells_table_by_our_names(
    tmp_path: Path, human: GeneTable, caplog: pytest.LogCaptureFixture
) -> None:
    """A column that has our name but is not meant gives way; conditions must be ours or mapped; NA says nothing."""
    files = write_triplet(tmp_path, counts())
    rows = zip(BARCODES, "ABABAB", ["x", "NA", "y", "nan", "", "z"], strict=True)
    (tmp_path / "cells.csv").write_text(
        "id,patient,donor,condition\n" + "".join(f"{b},{p},{d},Tumour\n" for b, p, d in rows)
    )
    files.append(tmp_path / "cells.csv")
    cells = {"file": "cells.csv", "barcode": "id", "conditions": {}}
    run_with = partial(run, "tenx_triplet", files, human)
    found = run_with(cells=cells | {"columns": {"donor": "patient"}}).cells
    assert found["donor"].tolist() == list("ABABAB") and set(found["condition"]) == {"primary"}
    assert "not in cells: conditions: Tumour (6 cells)" in caplog.text
    assert run_with(cells=cells).cells["donor"].tolist() == ["x", "P1", "y", "P1", "P1", "z"]
    twice = run_with(cells=cells | {"columns": {"donor": "patient", "age": "patient"}}).cells
    assert twice["donor"].tolist() == twice["author_age"].tolist() == list("ABABAB")
    with pytest.raises(BrainmetError, match=r"condition says 'Tumour', which is no condition .*map it under cells: c"):
        run_with(cells=cells | {"conditions": None})
    with pytest.raises(
        BrainmetError, match=r"cells.csv: has no column who \(patient, donor, condition\); correct cells"
    ):
        run_with(cells=cells | {"columns": {"donor": "who"}})


def test_a_cells_table_without_rows_is_refused(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts())
    (tmp_path / "cells.csv").write_text("id,donor\n")
    with pytest.raises(BrainmetError, match="the table has 0 rows and the matrix 6 cells; nothing can be joined"):
        run("tenx_triplet", [*files, tmp_path / "cells.csv"], human, cells={"file": "cells.csv", "barcode": "id"})


def test_one_cells_table_of_many_samples(tmp_path: Path, human: GeneTable) -> None:
    """Its column of samples tells whose row it is, whatever number the barcodes carry there."""
    files = write_triplet(tmp_path, counts())
    rows = [f"{b[:-2]}-{lane},{name},{name}{i}" for lane, name in ((1, "R"), (2, "S")) for i, b in enumerate(BARCODES)]
    (tmp_path / "cells.csv").write_text("id,who,donor\n" + "\n".join(rows))
    cells = {"file": "cells.csv", "barcode": "id", "sample": "who"}
    run_with = partial(run, "tenx_triplet", [*files, tmp_path / "cells.csv"], human)
    assert run_with(cells=cells).cells["donor"].tolist() == [f"S{i}" for i in range(6)]
    # Where no file lists the barcodes they are the table's, but for those of other samples.
    without = run("tenx_triplet", [*files[:2], tmp_path / "cells.csv"], human, cells=cells)
    assert without.cells["donor"].tolist() == [f"S{i}" for i in range(6)]
    with pytest.raises(BrainmetError, match=r"no row has who T \(there are R, S\); correct cells: sample"):
        run_with(cells=cells, id="T")


def test_one_cells_table_per_folder(tmp_path: Path, human: GeneTable) -> None:
    """All tables have one name: a sample's is that in its own folder."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for sample, seed in (("P1", 0), ("P10", 1)):
            for role, data in parts(counts(seed)).items():
                archive.writestr(f"{sample}/{role}.{'mtx' if role == 'matrix' else 'tsv'}", data)
            rows = "".join(f"{b},{sample}-{i}\n" for i, b in enumerate(BARCODES))
            archive.writestr(f"{sample}/metadata.csv", f"id,donor\n{rows}")
    cells = {"file": "metadata.csv", "barcode": "id"}
    for sample, seed in (("P1", 0), ("P10", 1)):
        found = run("tenx_triplet", [tmp_path / "all.zip"], human, match=sample, cells=cells)
        same(found, counts(seed))
        assert found.cells["donor"].tolist() == [f"{sample}-{i}" for i in range(6)]
    with pytest.raises(BrainmetError, match=r"cells: 2 files are named metadata.csv"):
        run("tenx_triplet", [tmp_path / "all.zip"], human, cells=cells)


@pytest.mark.parametrize("folders", [False, True])
def test_a_match_that_begins_anothers(tmp_path: Path, human: GeneTable, folders: bool) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for sample, seed in (("P1", 0), ("P1_rep2", 1)):
            for role, data in parts(counts(seed)).items():
                mark = "/" if folders else "_"
                archive.writestr(f"{sample}{mark}{role}.{'mtx' if role == 'matrix' else 'tsv'}", data)
    run_with = partial(run, "tenx_triplet", [tmp_path / "all.zip"], human)
    same(run_with(match="P1", longer_matches=["P1_rep2"]), counts(0))
    same(run_with(match="P1_rep2"), counts(1))


def test_lines_under_the_header_split_a_table(tmp_path: Path, human: GeneTable) -> None:
    frame = pd.DataFrame(counts(), index=SYMBOLS, columns=BARCODES)
    rows = [["", *BARCODES], ["patient", *"ABABAB"], *([gene, *map(str, frame.loc[gene])] for gene in SYMBOLS)]
    (tmp_path / "t.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    found = run("dense_text", [tmp_path / "t.tsv"], human, split_by={"obs": "patient"}, match="B")
    assert (table(found)[CURRENT].to_numpy() == counts().T[1::2]).all()
    with pytest.raises(BrainmetError, match=r"no cell has patient 'C' \(values: A, B\)"):
        run("dense_text", [tmp_path / "t.tsv"], human, split_by={"obs": "patient"}, match="C")


@pytest.mark.parametrize("first", ["ENSG00000141736\t\tGene Expression", "\tENSG00000141736"])
def test_a_first_gene_without_a_symbol_is_no_header(tmp_path: Path, human: GeneTable, first: str) -> None:
    files = write_triplet(tmp_path, counts())
    rest = "".join(f"ENSG9999999990{i}\t{s}\tGene Expression\n" for i, s in enumerate(SYMBOLS[1:]))
    files[1].write_bytes(gzip.compress(f"{first}\n{rest}".encode()))
    same(run("tenx_triplet", files, human), counts())


@pytest.mark.parametrize("layout", ["h5ad", "loom", "dense_text"])
def test_antibodies_beside_genes_are_set_aside(tmp_path: Path, human: GeneTable, layout: str) -> None:
    """By the kinds that scanpy carries along, or by their names."""
    genes, antibodies = counts(), 100 + counts(1, genes=2)
    X = np.vstack([genes, antibodies])
    names, kinds = [*SYMBOLS, "EPCAM_TotalSeqB", "CD4"], ["Gene Expression"] * 10 + ["Antibody Capture"] * 2
    path = tmp_path / f"a.{'csv' if layout == 'dense_text' else layout}"
    if layout == "h5ad":
        var = pd.DataFrame({"feature_types": pd.Categorical(kinds)}, index=names)
        anndata.AnnData(X.T, pd.DataFrame(index=BARCODES), var).write_h5ad(path)
    elif layout == "loom":
        with h5py.File(path, "w") as file:
            file["matrix"], file["col_attrs/CellID"] = X, np.array(BARCODES, "S")
            file["row_attrs/Gene"], file["row_attrs/feature_types"] = np.array(names, "S"), np.array(kinds, "S")
    else:
        names[-1] = "CD4:SK3|CD4|AHS0032|pAbO"
        pd.DataFrame(X, index=names, columns=BARCODES).to_csv(path)
    found = run(layout, [path], human)
    same(found, genes)
    assert found.lost["n_set_aside"].item() == 2


def test_kinds_that_are_biotypes_and_files_of_peaks(tmp_path: Path, human: GeneTable) -> None:
    """CELLxGENE's column feature_type tells protein_coding and the like; a file of peaks alone is named as such."""
    for kind in ("protein_coding", "Peaks"):
        var = pd.DataFrame({"feature_type": [kind] * 10}, index=SYMBOLS)
        anndata.AnnData(counts().T, pd.DataFrame(index=BARCODES), var).write_h5ad(tmp_path / f"{kind}.h5ad")
    same(run("h5ad", [tmp_path / "protein_coding.h5ad"], human), counts())
    with pytest.raises(BrainmetError, match=r"Peaks.h5ad:X: holds no gene expression, only Peaks; give the file that"):
        run("h5ad", [tmp_path / "Peaks.h5ad"], human)


@pytest.mark.parametrize(("written", "layout"), [("h5ad", "tenx_h5"), ("loom", "tenx_h5"), ("loom", "h5ad")])
def test_another_kind_of_hdf5_is_named(tmp_path: Path, human: GeneTable, written: str, layout: str) -> None:
    path = write_loom(tmp_path / "x.h5", counts(), {})
    if written == "h5ad":
        anndata.AnnData(counts().T, pd.DataFrame(index=BARCODES), pd.DataFrame(index=SYMBOLS)).write_h5ad(path)
    with pytest.raises(BrainmetError, match=f"set layout: {written} in the dataset file"):
        run(layout, [path], human)


# --- commas before thousands, parquet ---------------------------------------------------------------------------------


def shown(X: np.ndarray) -> pd.DataFrame:
    return frame(X).map(lambda value: f"{value:,}")


@pytest.mark.parametrize("sep", ["\t", ";", ","])
def test_commas_before_thousands(tmp_path: Path, human: GeneTable, sep: str) -> None:
    X = counts() * 1234
    shown(X).to_csv(tmp_path / "a.csv", sep=sep)
    same(run("dense_text", [tmp_path / "a.csv"], human), X)


def test_a_comma_that_sets_off_no_thousands_is_named(tmp_path: Path, human: GeneTable) -> None:
    text = shown(counts() * 1234).to_csv(sep="\t")
    rows = "".join(f"GENE{i}\t" + "\t".join(["1,234"] * 6) + "\n" for i in range(60))
    (tmp_path / "a.tsv").write_text(text + rows + "TP53\t" + "\t".join(["0,512"] * 6) + "\n")
    with pytest.raises(BrainmetError, match="commas set off thousands in its first lines, but not in 0,512"):
        run("dense_text", [tmp_path / "a.tsv"], human)


@pytest.mark.parametrize("turned", [False, True], ids=["genes are rows", "cells are rows"])
def test_parquet(tmp_path: Path, human: GeneTable, turned: bool) -> None:
    table = frame(counts())
    (table.T if turned else table).to_parquet(tmp_path / "a.parquet")
    same(run("dense_text", [tmp_path / "a.parquet"], human), counts())
    gaps = table.astype(float)
    gaps.iloc[0, 0] = np.nan
    (gaps.T if turned else gaps).reset_index().to_parquet(tmp_path / "b.parquet")
    assert run("dense_text", [tmp_path / "b.parquet"], human).matrix.sum() == counts()[1:].sum()


def test_what_is_no_table_in_parquet(tmp_path: Path, human: GeneTable) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1nothing")
    with pytest.raises(BrainmetError, match="cannot be read as parquet"):
        run("dense_text", [tmp_path / "a.parquet"], human)
    frame(counts()).reset_index(drop=True).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BrainmetError, match="holds 0 columns of text and 6 of numbers"):
        run("dense_text", [tmp_path / "a.parquet"], human)


def test_labels_in_parquet(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), gz=False)
    pd.DataFrame({"type": ["T cell"] * 5 + [None]}, index=pd.Index(BARCODES, name="bc")).to_parquet(
        tmp_path / "l.parquet"
    )
    spec = {"file": "l.parquet", "barcode": "bc", "column": "type", "map": {"T cell": "t_cell"}}
    result = run("tenx_triplet", [*files, tmp_path / "l.parquet"], human, labels=spec)
    assert result.cells["author_cell_type"].tolist() == ["t_cell"] * 5 + [""]
