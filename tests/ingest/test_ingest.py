"""The door: real layouts, generated variants, and every bad input with its sentence."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import yaml
from brainmet import datasets
from brainmet.core.counts import open_counts
from brainmet.datasets import READ_BY_INGEST
from brainmet.errors import BrainmetError
from brainmet.ingest import Ingested, ingest, layouts
from brainmet.ingest.species import Tolerance
from brainmet.knowledge.genes import GeneTable

from tests.running import unlisted

HERE = Path(__file__).parents[2]
SYMBOLS = ["ERBB2", "EPCAM", "KRT8", "PTPRC", "CD3E", "GFAP", "CTGF", "H2AFZ", "MALAT1", "ACTB"]
CURRENT = ["ERBB2", "EPCAM", "KRT8", "PTPRC", "CD3E", "GFAP", "CCN2", "H2AZ1", "MALAT1", "ACTB"]
LIMITS = Tolerance(warn_lost=0.1, max_lost=0.4, species_share=0.9)
BARCODES = [
    "AAACCTGAGAAACCAT-1",
    "CCCGGGTTTAAACCAT-1",
    "TTTGGGAAACCCGTAC-1",
    "GGGTTTCCCAAAGTAC-1",
    "ACGTACGTACGTTTTT-1",
    "TGCATGCATGCAAAAA-1",
]


def counts(seed: int = 0, genes: int = 10, cells: int = 6) -> np.ndarray:
    """Genes × cells."""
    X = np.random.default_rng(seed).poisson(1.0, (genes, cells))
    X[0] += 1
    return X


def record(layout: str, files: list[Path], **changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": "S", "dataset": "D", "study": "D", "donor": "P1", "condition": "primary", "layout": layout, "match": None, "split_by": None, "longer_matches": [],  # noqa: E501
        "cells": None, "labels": None, "organism": "human", "technology": "10x_3prime", "suspension": "cell", "values": "counts",  # noqa: E501
        "simulated": False, "files": [{"name": path.name} for path in files],
    }  # fmt: skip
    return entry | changes


class Given(dict[str, Any]):
    """A record that holds every reading of a sample to the fields that the rule passes on."""

    def __getitem__(self, field: str) -> Any:
        assert field in READ_BY_INGEST, f"add {field} to datasets.READ_BY_INGEST"
        return super().__getitem__(field)

    def get(self, field: str, default: Any = None) -> Any:
        return self[field] if field in self or field not in READ_BY_INGEST else default


def run(layout: str, files: list[Path], human: GeneTable, mouse: GeneTable | None = None, **changes: Any) -> Ingested:
    given = Given(record(layout, files, **changes))
    result = ingest(files, human, mouse, record=given, limits=LIMITS)
    assert unlisted(obs=result.cells, var=result.genes, uns=result.uns) == []
    return result


def write_triplet(
    folder: Path,
    X: np.ndarray,
    *,
    prefix: str = "",
    symbols: list[str] = SYMBOLS,
    barcodes: list[str] = BARCODES,
    gz: bool = True,
    kinds: list[str] | None = None,
) -> list[Path]:
    buffer = io.BytesIO()
    scipy.io.mmwrite(buffer, sp.coo_matrix(X), field="integer" if np.issubdtype(X.dtype, np.integer) else "real")
    kinds = kinds or ["Gene Expression"] * len(symbols)
    text = {
        "matrix.mtx": buffer.getvalue(),
        "features.tsv": "".join(f"id{s}\t{s}\t{k}\n" for s, k in zip(symbols, kinds, strict=True)).encode(),
        "barcodes.tsv": "".join(f"{b}\n" for b in barcodes).encode(),
    }
    paths = []
    for name, data in text.items():
        path = folder / f"{prefix}{name}{'.gz' if gz else ''}"
        path.write_bytes(gzip.compress(data) if gz else data)
        paths.append(path)
    return paths


def table(result: Ingested) -> pd.DataFrame:
    """Cells × symbols, dense."""
    return pd.DataFrame(
        result.matrix.toarray(), index=[c.split(":", 1)[1] for c in result.cells.index], columns=result.genes["symbol"]
    )


def expected(X: np.ndarray, barcodes: list[str] = BARCODES) -> pd.DataFrame:
    return pd.DataFrame(X.T, index=barcodes, columns=CURRENT)


def same(result: Ingested, X: np.ndarray) -> None:
    found = table(result)
    assert sorted(found.columns) == sorted(CURRENT)
    assert (found[CURRENT].to_numpy() == expected(X).to_numpy()).all() and list(found.index) == BARCODES


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "GSM1_Breast_1_", "GSM1_Breast_1.", "GSM1_Breast_1-"])
@pytest.mark.parametrize("gz", [True, False])
def test_triplet_with_any_prefix(tmp_path: Path, human: GeneTable, prefix: str, gz: bool) -> None:
    files = write_triplet(tmp_path, counts(), prefix=prefix, gz=gz)
    other = tmp_path / "other"
    other.mkdir()
    if prefix:
        files += write_triplet(other, counts(1), prefix="GSM1_Breast_10_", gz=gz)
    same(run("tenx_triplet", files, human, match="GSM1_Breast_1" if prefix else None), counts())
    same(run("tenx_triplet", files, human, match="Breast_1" if prefix else None), counts())


def test_triplet_antibodies_set_aside(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), kinds=["Gene Expression"] * 8 + ["Antibody Capture"] * 2)
    result = run("tenx_triplet", files, human)
    assert result.matrix.shape == (6, 8) and result.lost["n_set_aside"].item() == 2


def test_triplet_with_genes_tsv_and_one_shared_features_file(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), prefix="GSM1_A-")
    shared = tmp_path / "GSE1_genes.tsv.gz"
    files[1].rename(shared)
    files[1] = shared
    same(run("tenx_triplet", files, human, match="GSM1_A"), counts())


def test_real_valued_mtx_transposed_and_rows_of_one_gene(tmp_path: Path, human: GeneTable) -> None:
    same(run("tenx_triplet", write_triplet(tmp_path, counts().astype(float)), human), counts())
    folder = tmp_path / "turned"
    folder.mkdir()
    files = write_triplet(folder, counts())
    buffer = io.BytesIO()
    scipy.io.mmwrite(buffer, sp.coo_matrix(counts().T), field="integer")
    files[0].write_bytes(gzip.compress(buffer.getvalue()))
    same(run("tenx_triplet", files, human), counts())


def test_rows_of_one_gene_are_summed_and_listed(tmp_path: Path, human: GeneTable) -> None:
    names = ["CTGF", "CCN2", *SYMBOLS[2:6], "KRT8", *SYMBOLS[7:]]
    result = run("tenx_triplet", write_triplet(tmp_path, counts(), symbols=names), human)
    found = table(result)
    assert (found["CCN2"].to_numpy() == counts()[0] + counts()[1]).all() and (
        found["KRT8"].to_numpy() == counts()[2] + counts()[6]
    ).all()
    assert result.lost[["n_features", "n_mapped", "n_merged", "n_lost"]].iloc[0].tolist() == [10, 10, 2, 0]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_inside_a_tar(tmp_path: Path, human: GeneTable, nested: bool, mode: Any) -> None:
    files = write_triplet(tmp_path, counts(), prefix="" if nested else "GSM1_A_")
    archive = tmp_path / "GSE1_RAW.tar"
    inner = tmp_path / "GSM1_A.tar.gz"
    with tarfile.open(inner if nested else archive, "w:gz" if nested else mode) as tar:
        for path in files:
            tar.add(path, arcname=f"folder/{path.name}")
    if nested:
        with tarfile.open(archive, mode) as tar:
            tar.add(inner, arcname=inner.name)
    same(run("tenx_triplet", [archive], human, match="GSM1_A"), counts())


@pytest.mark.parametrize("member", ["../evil_matrix.mtx", "/etc/evil", "link"])
def test_malicious_tars_are_refused(tmp_path: Path, human: GeneTable, member: str) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo(member)
        if member == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(BrainmetError, match="refused"):
        run("tenx_triplet", [archive], human)


DENSE = {
    "tsv": {"sep": "\t"},
    "csv": {"sep": ","},
    "semicolon": {"sep": ";"},
    "blanks": {"sep": " "},
    "no corner": {"sep": "\t", "corner": None},
    "no corner, quoted": {"sep": ",", "corner": None, "quote": '"'},
    "quoted": {"sep": ",", "quote": '"'},
    "quoted blanks": {"sep": " ", "corner": None, "quote": '"'},
    "cells are rows": {"sep": ",", "turned": True},
    "windows": {"sep": "\t", "end": "\r\n"},
    "trailing blanks": {"sep": "\t", "pad": "  "},
    "trailing separator": {"sep": "\t", "tail": "\t"},
    "empty lines": {"sep": "\t", "gap": "\n"},
    "no last line end": {"sep": "\t", "cut": True},
    "byte order mark": {"sep": ",", "mark": "\ufeff"},
    "decimals": {"sep": "\t", "number": "{}.0"},
    "exponents": {"sep": "\t", "number": "{}e0"},
}


def dense(
    X: np.ndarray,
    rows: list[str],
    columns: list[str],
    *,
    sep: str,
    corner: str | None = "gene",
    quote: str = "",
    turned: bool = False,
    end: str = "\n",
    pad: str = "",
    tail: str = "",
    gap: str = "",
    cut: bool = False,
    mark: str = "",
    number: str = "{}",
) -> bytes:
    if turned:
        X, rows, columns = X.T, columns, rows
    q = lambda name: f"{quote}{name}{quote}"  # noqa: E731
    lines = [sep.join(([q(corner)] if corner is not None else []) + [q(c) for c in columns]) + tail]
    lines += [
        sep.join([q(name + pad), *(number.format(v) for v in row)]) + tail for name, row in zip(rows, X, strict=True)
    ]
    text = mark + (end + gap).join(lines) + ("" if cut else end)
    return text.encode()


@pytest.mark.parametrize("variant", DENSE)
@pytest.mark.parametrize("gz", [True, False])
def test_dense_text(tmp_path: Path, human: GeneTable, variant: str, gz: bool) -> None:
    data = dense(counts(), SYMBOLS, BARCODES, **DENSE[variant])  # type: ignore[arg-type]
    path = tmp_path / ("table.txt.gz" if gz else "table.txt")
    path.write_bytes(gzip.compress(data) if gz else data)
    same(run("dense_text", [path], human), counts())


def test_dense_text_with_ids_in_several_columns_and_summary_rows(tmp_path: Path, human: GeneTable) -> None:
    ids = [human.symbols[s] + ".3" for s in CURRENT]
    lines = ["gene_id\tgene_name\tgene_type\t" + "\t".join(BARCODES)]
    for i, (id_, name) in enumerate(zip(ids, SYMBOLS, strict=True)):
        lines.append("\t".join([id_, name, "protein_coding", *map(str, counts()[i])]))
    lines += ["\t".join([name, name, "-", *["1000"] * 6]) for name in ("__no_feature", "ERCC-00130")]
    path = tmp_path / "t.tsv"
    path.write_text("\n".join(lines))
    result = run("dense_text", [path], human)
    same(result, counts())
    assert "2 summary or spike-in rows removed" in result.lost["notes"].item()


def test_dense_text_in_blocks_of_any_size(tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch) -> None:
    from brainmet.ingest import dense_text

    path = tmp_path / "t.tsv"
    path.write_bytes(dense(counts(), SYMBOLS, BARCODES, sep="\t"))
    for block in (7, 64, 1000):
        monkeypatch.setattr(dense_text, "CHUNK", block)
        monkeypatch.setattr(dense_text, "HEAD_LINES", 3)
        same(run("dense_text", [path], human), counts())


def write_h5(path: Path, X: np.ndarray, *, version: int, kinds: list[str] | None = None) -> Path:
    C = sp.csc_matrix(X)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name, values in (
            ("data", C.data),
            ("indices", C.indices),
            ("indptr", C.indptr),
            ("shape", np.array(C.shape)),
        ):
            group[name] = values
        group["barcodes"] = np.array(BARCODES, dtype="S")
        names, ids = np.array(SYMBOLS, dtype="S"), np.array([f"id{s}" for s in SYMBOLS], dtype="S")
        if version == 3:
            group["features/name"], group["features/id"] = names, ids
            group["features/feature_type"] = np.array(kinds or ["Gene Expression"] * len(SYMBOLS), dtype="S")
        else:
            group["gene_names"], group["genes"] = names, ids
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("gz", [False, True])
def test_tenx_h5(tmp_path: Path, human: GeneTable, version: int, gz: bool) -> None:
    path = write_h5(tmp_path / "a.h5", counts(), version=version)
    if gz:
        packed = tmp_path / "a.h5.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    same(run("tenx_h5", [path], human), counts())


def test_one_archive_of_several_layouts(tmp_path: Path, human: GeneTable) -> None:
    X, Y = counts(), counts(1)
    files = [*write_triplet(tmp_path, X, prefix="GSM1_A_"), write_h5(tmp_path / "GSM2_B.h5", Y, version=3)]
    with tarfile.open(tmp_path / "GSE1_RAW.tar", "w") as tar:
        for path in files:
            tar.add(path, arcname=path.name)
    samples = [{"id": "A", "match": "GSM1_A"}, {"id": "B", "match": "GSM2_B", "layout": "tenx_h5"}]
    archive = [{"name": "GSE1_RAW.tar", "path": "GSE1_RAW.tar"}]
    document = {"schema": 1, "id": "GSE1", "layout": "tenx_triplet", "files": archive, "samples": samples}
    (tmp_path / "GSE1.yaml").write_text(yaml.safe_dump(document))
    records = datasets.records(datasets.load(["GSE1"], folders=[tmp_path]), exclude=[])
    for id_, expected_counts in (("A", X), ("B", Y)):
        given = {field: records[id_][field] for field in READ_BY_INGEST}
        result = ingest([tmp_path / "GSE1_RAW.tar"], human, None, record=given, limits=LIMITS)
        same(result, expected_counts)


def test_genomes_with_different_barcodes_are_named(tmp_path: Path, human: GeneTable) -> None:
    path = write_h5(tmp_path / "a.h5", counts(), version=2)
    with h5py.File(path, "a") as file:
        file.copy("GRCh38", "mm10")
        file["mm10/barcodes"][0] = b"GGG-1"
    with pytest.raises(BrainmetError, match=r"its genomes \(GRCh38, mm10\) list different barcodes; give the raw"):
        run("tenx_h5", [path], human)


@pytest.mark.parametrize(("part", "value"), [("indices", 10), ("indptr", 10**6)])
def test_a_matrix_that_points_beyond_itself(tmp_path: Path, human: GeneTable, part: str, value: int) -> None:
    """SciPy would read foreign memory, and the process end without a word."""
    path = write_h5(tmp_path / "a.h5", counts(), version=3)
    with h5py.File(path, "a") as file:
        file["matrix"][part][2] = value
    with pytest.raises(BrainmetError, match=r"a.h5: cannot be read as a 10x HDF5 file \(.*\); fetch it again"):
        run("tenx_h5", [path], human)


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
@pytest.mark.parametrize("slot", ["X", "raw", "layers"])
def test_h5ad_counts_found_by_value(tmp_path: Path, human: GeneTable, form: str, slot: str) -> None:
    import anndata as ad

    cells = counts().T.astype(np.float32)
    wrap: Callable[[np.ndarray], Any] = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[form]
    logged = np.log1p(cells / cells.sum(axis=1, keepdims=True) * 1e4)
    adata = ad.AnnData(
        wrap(cells),
        obs=pd.DataFrame({"who": pd.Categorical(list("aabbaa"))}, index=BARCODES),
        var=pd.DataFrame(index=SYMBOLS),
    )
    if slot == "raw":
        adata.raw = adata.copy()
        adata.X = wrap(logged)
    if slot == "layers":
        adata.layers["raw_counts"] = adata.X.copy()
        adata.X = wrap(logged)
    adata.write_h5ad(tmp_path / "a.h5ad")
    result = run("h5ad", [tmp_path / "a.h5ad"], human, labels={"column": "who", "map": {"a": "astrocyte"}})
    same(result, counts())
    assert result.cells["author_cell_type"].tolist() == ["astrocyte", "astrocyte", "", "", "astrocyte", "astrocyte"]


def test_cellxgene_names(tmp_path: Path, human: GeneTable) -> None:
    import anndata as ad

    var = pd.DataFrame({"feature_name": SYMBOLS}, index=[human.symbols[s] for s in CURRENT])
    ad.AnnData(sp.csr_matrix(counts().T.astype(np.float32)), obs=pd.DataFrame(index=BARCODES), var=var).write_h5ad(
        tmp_path / "a.h5ad"
    )
    same(run("h5ad", [tmp_path / "a.h5ad"], human), counts())


# --- contract ---------------------------------------------------------------------------------------------------------


def test_written_in_the_contracts_shape(tmp_path: Path, human: GeneTable) -> None:
    result = run("tenx_triplet", write_triplet(tmp_path, counts()), human)
    result.write(tmp_path / "counts.h5ad", tmp_path / "lost.tsv")
    found = open_counts(tmp_path / "counts.h5ad")
    assert found.cells.index.tolist() == [f"S:{b}" for b in BARCODES]
    assert found.cells.columns.tolist() == [
        "dataset",
        "study",
        "sample",
        "donor",
        "condition",
        "author_label",
        "author_cell_type",
    ]
    assert found.genes.index.is_monotonic_increasing and found.genes.columns.tolist() == [
        "symbol",
        "chromosome",
        "start",
        "end",
    ]
    assert found.uns["values"] == "counts" and found.uns["organism"] == "human"


def test_order_of_genes_in_the_file_does_not_matter(tmp_path: Path, human: GeneTable) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    first = run("tenx_triplet", write_triplet(tmp_path / "a", counts()), human)
    order = np.random.default_rng(3).permutation(10)
    second = run(
        "tenx_triplet", write_triplet(tmp_path / "b", counts()[order], symbols=[SYMBOLS[i] for i in order]), human
    )
    pd.testing.assert_frame_equal(first.genes, second.genes)
    assert (first.matrix != second.matrix).nnz == 0


def test_labels_and_cells_tables(tmp_path: Path, human: GeneTable) -> None:
    files = write_triplet(tmp_path, counts(), prefix="GSM1_A_")
    bare = [b[:-2] for b in BARCODES]
    (tmp_path / "GSM1_A_types.csv").write_text(
        "Barcode,Cell_Type\n"
        + "".join(f"A_{b},{t}\n" for b, t in zip(bare[:5], ["MTC", "MTC", "NA", "odd", "MTC"], strict=True))
    )
    (tmp_path / "cells.csv").write_text(",patient,age\n" + "".join(f"{b},P{i % 2},5{i}\n" for i, b in enumerate(bare)))
    files += [tmp_path / "GSM1_A_types.csv", tmp_path / "cells.csv"]
    result = run(
        "tenx_triplet", files, human, match="GSM1_A",
        labels={"file": "types.csv", "barcode": "Barcode", "column": "Cell_Type", "map": {"MTC": "malignant_epithelial"}},  # noqa: E501
        cells={"file": "cells.csv", "barcode": "", "columns": {"donor": "patient"}},
    )  # fmt: skip
    assert result.cells["author_label"].tolist() == ["MTC", "MTC", "", "odd", "MTC", ""]
    assert result.cells["author_cell_type"].tolist() == ["malignant_epithelial"] * 2 + ["", ""] + [
        "malignant_epithelial",
        "",
    ]
    assert result.cells["donor"].tolist() == ["P0", "P1"] * 3 and result.cells["author_age"].iloc[2] == "52"
    (tmp_path / "cohorts.csv").write_text(",cohort\n" + "".join(f"{b},Smith; Lee\n" for b in bare))
    files.append(tmp_path / "cohorts.csv")
    joined = {"file": "cohorts.csv", "barcode": "", "columns": {"study": "cohort"}}
    with pytest.raises(BrainmetError, match="the study 'Smith; Lee' holds ';', which joins studies in tables; rename"):
        run("tenx_triplet", files, human, match="GSM1_A", cells=joined)


@pytest.mark.parametrize("how", ["cells", "barcode", "obs"])
def test_one_matrix_many_samples(tmp_path: Path, human: GeneTable, how: str) -> None:
    names = [f"{'AB'[i % 2]}_{b}" for i, b in enumerate(BARCODES)]
    changes: dict[str, Any] = {"match": "B"}
    if how == "obs":
        import anndata as ad

        obs = pd.DataFrame({"who": [n[0] for n in names]}, index=names)
        ad.AnnData(sp.csr_matrix(counts().T.astype(np.float32)), obs=obs, var=pd.DataFrame(index=SYMBOLS)).write_h5ad(
            tmp_path / "a.h5ad"
        )
        layout, files, changes["split_by"] = "h5ad", [tmp_path / "a.h5ad"], {"obs": "who"}
    else:
        layout, files = "tenx_triplet", write_triplet(tmp_path, counts(), barcodes=names)
        changes["split_by"] = {"barcode": "^([AB])_"}
        if how == "cells":
            (tmp_path / "cells.tsv").write_text("id\twho\n" + "".join(f"{n}\t{n[0]}\n" for n in names))
            files.append(tmp_path / "cells.tsv")
            changes |= {"split_by": {"cells": "who"}, "cells": {"file": "cells.tsv", "barcode": "id"}}
    result = run(layout, files, human, **changes)
    assert [c.split(":")[1] for c in result.cells.index] == names[1::2] and (
        table(result)[CURRENT].to_numpy() == counts().T[1::2]
    ).all()
    with pytest.raises(BrainmetError, match=r"no cell has .*'C' .values: A, B."):
        run(layout, files, human, **(changes | {"match": "C"}))


def test_mouse_enters_by_its_orthologues(tmp_path: Path, human: GeneTable, mouse: GeneTable) -> None:
    names = ["Erbb2", "Epcam", "Krt8", "Ptprc", "Cd3e", "Gfap", "Ctgf", "H2afz", "Gm10000000", "Actb"]
    result = run("tenx_triplet", write_triplet(tmp_path, counts(), symbols=names), human, mouse, organism="mouse")
    found = table(result)
    assert {"ERBB2", "EPCAM", "KRT8", "CCN2"} <= set(found.columns) and (found["ERBB2"].to_numpy() == counts()[0]).all()
    assert result.genes.loc[human.symbols["ERBB2"], "source_id"] == mouse.symbols["Erbb2"]
    assert result.lost["n_lost"].item() == 1


def test_counts_of_a_mouse_family_are_summed(tmp_path: Path, human: GeneTable, mouse: GeneTable) -> None:
    names = ["H2-K1", "H2-D1", "Ifi27l2a", "Ifi27l2b", "Cxcl1", "Gapdh", "Malat1", "Ccl21a", "Erbb2", "Ltb4r1"]
    result = run("tenx_triplet", write_triplet(tmp_path, counts(), symbols=names), human, mouse, organism="mouse")
    found = table(result)
    assert (found["HLA-A"].to_numpy() == counts()[:2].sum(axis=0)).all()
    assert (found["IFI27"].to_numpy() == counts()[2:4].sum(axis=0)).all()
    assert {"CXCL1", "GAPDH", "MALAT1", "CCL21"} <= set(found.columns) and "HLA-B" not in found
    both = ";".join(sorted(mouse.symbols[name] for name in ("H2-K1", "H2-D1")))
    assert result.genes.loc[human.symbols["HLA-A"], "source_id"] == both
    assert "2 human genes sum the counts of several mouse genes" in result.lost["notes"].item()


def test_mixture_is_split_by_share_of_counts(tmp_path: Path, human: GeneTable, mouse: GeneTable) -> None:
    names = [
        *(f"GRCh38_{s}" for s in SYMBOLS[:5]),
        *(f"mm10___{s}" for s in ("Erbb2", "Epcam", "Krt8", "Ptprc", "Cd3e")),
    ]
    X = np.zeros((10, 6), int)
    X[:5, :3], X[5:, 3:5] = 20, 20  # Three human cells, two of mouse,
    X[:, 5] = 10  # and one of both.
    X[5, 0] = 1
    result = run("tenx_triplet", write_triplet(tmp_path, X, symbols=names), human, mouse, organism="human_mouse")
    assert result.cells["organism"].tolist() == ["human"] * 3 + ["mouse"] * 2
    found = table(result)
    assert found.to_numpy().sum() == 5 * 5 * 20 and (found["ERBB2"] == 20).all()
    assert "3 human cells, 2 mouse cells, 1 of both dropped" in result.lost["notes"].item()
    assert (result.lost["n_mapped"].item(), result.lost["n_merged"].item()) == (10, 0)


# --- bad input --------------------------------------------------------------------------------------------------------


def triplet(tmp_path: Path, **kw: Any) -> list[Path]:
    return write_triplet(tmp_path, kw.pop("X", counts()), **kw)


def no_counts(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return function(np.random.default_rng(5).poisson(3.0, (10, 6)).astype(float))


@pytest.mark.parametrize(
    ("X", "part"),
    [
        (no_counts(lambda x: x - 1), "the lowest value is -1"),
        (no_counts(lambda x: np.where(x == 2, np.nan, x)), "not a number"),
        (no_counts(lambda x: np.log1p(x / x.sum(axis=0) * 1e4)), "say values: log"),
        (no_counts(lambda x: x * 30 + np.random.default_rng(0).random(x.shape)), "say values: expected_counts"),
        (no_counts(lambda x: x / x.sum(axis=0) * 1e6), "say values: tpm"),
        (np.zeros((10, 6), int), "all 6 cells are empty"),
    ],
)
def test_values_that_are_no_counts(tmp_path: Path, human: GeneTable, X: np.ndarray, part: str) -> None:
    files = write_triplet(tmp_path, counts())
    buffer = io.StringIO()
    buffer.write(f"%%MatrixMarket matrix coordinate real general\n10 6 {int((X != 0).sum())}\n")
    for i, j in zip(*np.nonzero(X), strict=True):
        buffer.write(f"{i + 1} {j + 1} {X[i, j]:.9g}\n")
    files[0].write_bytes(gzip.compress(buffer.getvalue().encode()))
    with pytest.raises(BrainmetError, match=part) as error:
        run("tenx_triplet", files, human)
    assert "matrix.mtx.gz" in str(error.value)


def test_recoverable_logs_become_counts(tmp_path: Path, human: GeneTable) -> None:
    rng = np.random.default_rng(0)
    genes = human.frame[human.frame["biotype"] == "protein_coding"].index[:200].tolist()
    X = rng.poisson(0.7, (200, 6))
    path = tmp_path / "t.csv"
    path.write_bytes(dense(np.round(np.log1p(X / X.sum(axis=0) * 1e4), 6), genes, BARCODES, sep=","))
    result = run("dense_text", [path], human, values="log")
    assert result.uns["values"] == "counts" and "counts recovered exactly" in result.lost["notes"].item()
    assert result.matrix.sum() == X.sum()


def full_length(human: GeneTable, genes: int = 300, cells: int = 8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """TPM of genes of many lengths, and the same with two features of the first gene."""
    rng = np.random.default_rng(7)
    ids = human.frame[human.frame["biotype"] == "protein_coding"].index[:genes].tolist()
    X = rng.poisson(rng.lognormal(0, 1, (genes, 1)), (genes, cells)) / rng.lognormal(7, 0.7, (genes, 1))
    tpm = pd.DataFrame(X / X.sum(axis=0) * 1e6, index=ids, columns=[f"C{i}" for i in range(cells)])
    features = pd.concat([tpm, tpm.iloc[[0]] / 3]).set_axis([f"{ids[0]}.1", *ids[1:], f"{ids[0]}.2"])
    features.iloc[0] *= 2 / 3
    return tpm, features


@pytest.mark.parametrize("log", [np.log1p, lambda v: np.log2(v + 1), lambda v: np.log10(v + 1), np.arcsinh])
def test_logs_of_any_base_are_natural_logs_of_the_sums(
    tmp_path: Path, human: GeneTable, log: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    tpm, features = full_length(human)
    path = tmp_path / "t.csv"
    log(features).to_csv(path)
    result = run("dense_text", [path], human, values="log", technology="smartseq")
    assert result.uns["values"] == "log" and "caution" not in result.uns
    found = pd.DataFrame(result.matrix.toarray().T, index=result.genes.index, columns=tpm.columns)
    pd.testing.assert_frame_equal(found, np.log1p(tpm).loc[found.index], check_names=False, rtol=1e-5)
    assert len(found) == len(tpm)


def test_logs_of_an_unknown_base_are_flagged(tmp_path: Path, human: GeneTable) -> None:
    tpm, _ = full_length(human)
    depth = np.linspace(1, 5, tpm.shape[1])
    logs = np.log1p(tpm * depth / 1e3)
    logs.to_csv(tmp_path / "t.csv")
    result = run("dense_text", [tmp_path / "t.csv"], human, values="log")
    assert "the base of the logs does not show" in result.uns["caution"]
    assert np.allclose(result.matrix.toarray().sum(), logs.to_numpy().sum(), rtol=1e-5)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_truncated_gzip(tmp_path: Path, human: GeneTable, which: int) -> None:
    files = triplet(tmp_path)
    files[which].write_bytes(files[which].read_bytes()[:-20])
    with pytest.raises(BrainmetError, match=f"{files[which].name}: the file is truncated or damaged .*fetch it again"):
        run("tenx_triplet", files, human)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"\n<!DOCTYPE html><title>Error 403</title>", "is a web page"),
        (b"<html><body>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"", "the file is empty"),
        (bytes.fromhex("28b52ffd00"), r"is packed by Zstandard \(unzstd\)"),
        (b"7z\xbc\xaf\x27\x1c", r"is packed by 7-Zip \(7z x\)"),
    ],
)
def test_what_is_no_data_is_named(tmp_path: Path, human: GeneTable, data: bytes, part: str) -> None:
    path = tmp_path / "GSM1.h5"
    path.write_bytes(data)
    with pytest.raises(BrainmetError, match=f"GSM1.h5: .*{part}"):
        run("tenx_h5", [path], human)


def test_shape_disagreement(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(
        BrainmetError,
        match=r"10 rows and 6 columns, but features.tsv.gz lists 10 features and barcodes.tsv.gz 5 barcodes",
    ):
        run("tenx_triplet", triplet(tmp_path, barcodes=BARCODES[:5]), human)


def test_duplicated_barcodes(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(BrainmetError, match=f"the barcode {BARCODES[0]} occurs more than once"):
        run("tenx_triplet", triplet(tmp_path, barcodes=[*BARCODES[:5], BARCODES[0]]), human)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.replace(b"%%MatrixMarket", b"%MatrixMarket"), "does not begin with"),
        (lambda t: t.replace(b"10 6 ", b"10 x "), "not three whole numbers"),
        (lambda t: b"\n".join(t.split(b"\n")[:-3]) + b"\n", "announces .* entries and holds"),
        (lambda t: t + b"1 1 1\n", "holds more"),
        (lambda t: t.replace(b"\n1 1 ", b"\n99 1 "), "outside the announced"),
        (lambda t: t.replace(b"\n1 1 ", b"\nx 1 "), "is not `row column value`"),
    ],
)
def test_damaged_mtx(tmp_path: Path, human: GeneTable, change: Callable[[bytes], bytes], part: str) -> None:
    files = triplet(tmp_path)
    files[0].write_bytes(gzip.compress(change(gzip.decompress(files[0].read_bytes()))))
    with pytest.raises(BrainmetError, match=part):
        run("tenx_triplet", files, human)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.replace(b"GFAP\t", b"GFAP\tx\t", 1), "no separator|columns"),
        (lambda t: b"\n".join([*t.split(b"\n")[:2], b"GFAP\t1\t2"]), "no separator|ends before"),
        (lambda t: t.split(b"\n")[0] + b"\n", "holds 1 lines"),
        (lambda t: b"\n".join(b"a\tb\tc" for _ in range(5)), "no column holds numbers"),
        (lambda t: b"x\t" + t, "the header names"),
    ],
)
def test_damaged_table(tmp_path: Path, human: GeneTable, change: Callable[[bytes], bytes], part: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(change(dense(counts(), SYMBOLS, BARCODES, sep="\t")))
    with pytest.raises(BrainmetError, match=part):
        run("dense_text", [path], human)


def test_damage_behind_the_first_lines_names_line_and_column(
    tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brainmet.ingest import dense_text

    monkeypatch.setattr(dense_text, "HEAD_LINES", 4)
    path = tmp_path / "t.tsv"
    lines = dense(counts(), SYMBOLS, BARCODES, sep="\t").split(b"\n")
    lines[7] = lines[7].rsplit(b"\t", 2)[0] + b"\t?\t1"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(BrainmetError, match=rf"line 8 has no number in column 6 \({BARCODES[4]}\)"):
        run("dense_text", [path], human)


def test_wrong_organism(tmp_path: Path, human: GeneTable, mouse: GeneTable) -> None:
    names = ["Erbb2", "Epcam", "Krt8", "Ptprc", "Cd3e", "Gfap", "Ctgf", "H2afz", "Malat1", "Actb"]
    with pytest.raises(
        BrainmetError, match=r"matrix.mtx.gz: 100% of the counts .* no known gene of human: .*set organism: mouse"
    ):
        run("tenx_triplet", triplet(tmp_path, symbols=names), human)
    with pytest.raises(BrainmetError, match="set organism: human"):
        run("tenx_triplet", triplet(tmp_path), human, mouse, organism="mouse")


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_a_mixture_that_is_not_declared(tmp_path: Path, human: GeneTable, mouse: GeneTable, organism: str) -> None:
    names = [*(f"GRCh38_{s}" for s in SYMBOLS[:7]), *(f"mm10___{s}" for s in ("Erbb2", "Epcam", "Krt8"))]
    with pytest.raises(BrainmetError, match=r"genes of human and of mouse .*GRCh38.* set organism: human_mouse"):
        run("tenx_triplet", triplet(tmp_path, symbols=names), human, mouse, organism=organism)


def test_lost_counts_warn(tmp_path: Path, human: GeneTable, caplog: pytest.LogCaptureFixture) -> None:
    result = run(
        "tenx_triplet", triplet(tmp_path, X=np.ones((10, 6), int), symbols=[*SYMBOLS[:8], "odd one", "odd two"]), human
    )
    assert (
        result.lost["share_counts_lost"].item() == pytest.approx(0.2)
        and result.lost["lost_top"].item() == "odd one;odd two"
    )
    assert "20.0 % of the counts are lost" in caplog.text


def test_labels_that_match_no_barcode(tmp_path: Path, human: GeneTable) -> None:
    files = triplet(tmp_path)
    (tmp_path / "labels.csv").write_text("Barcode,type\nGATTACAGATTACAGA,x\n")
    labels = {"file": "labels.csv", "barcode": "Barcode", "column": "type"}
    with pytest.raises(BrainmetError, match=r"labels\.csv: no barcode of the table matches a cell"):
        run("tenx_triplet", [*files, tmp_path / "labels.csv"], human, labels=labels)
    with pytest.raises(BrainmetError, match=r"has no column kind .Barcode, type."):
        run("tenx_triplet", [*files, tmp_path / "labels.csv"], human, labels=labels | {"column": "kind"})
    with pytest.raises(BrainmetError, match=r"labels: no file is named other.csv"):
        run("tenx_triplet", [*files, tmp_path / "labels.csv"], human, labels=labels | {"file": "other.csv"})


@pytest.mark.parametrize(
    ("match", "part"),
    [("GSM1_Breast", "no file .* be its matrix|2 files"), ("GSM9", "no file of the dataset starts with it")],
)
def test_match_with_none_or_several(tmp_path: Path, human: GeneTable, match: str, part: str) -> None:
    (tmp_path / "b").mkdir()
    files = triplet(tmp_path, prefix="GSM1_Breast_1_") + write_triplet(
        tmp_path / "b", counts(), prefix="GSM1_Breast_2_"
    )
    with pytest.raises(BrainmetError, match=part):
        run("tenx_triplet", files, human, match=match)


def test_missing_file_and_unknown_layout(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(BrainmetError, match="no such file"):
        run("tenx_triplet", [tmp_path / "gone.mtx"], human)
    with pytest.raises(BrainmetError, match=r"layout: 'tenx' is no reader; did you mean .*; allowed: .*tenx_triplet"):
        run("tenx", triplet(tmp_path), human)


def test_empty_sample(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(BrainmetError, match="holds no cells"):
        run("tenx_triplet", triplet(tmp_path, X=np.zeros((10, 0), int), barcodes=[]), human)


def test_every_reader_is_found() -> None:
    assert {"tenx_triplet", "tenx_h5", "dense_text", "h5ad"} <= set(layouts())
    assert not {"raw", "text", "members", "kernels", "species", ""} & set(layouts())
