"""Registry entries on real cells under the published names: fetched from a mirror folder and ingested by Snakemake.

Cells of the public series kept beside the checkout take the place of those that cannot be had here; the names, the
archives and the layouts are those that the entries state.
"""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
from brainmet import datasets
from brainmet.core.counts import open_counts
from brainmet.core.tables import read_table

from tests.running import HOME, snakemake

REGISTRY = HOME / "resources/datasets"
CELLS = 60
WANTED = {
    "GSE186344": ["GSE186344_Breast_1", "GSE186344_Breast_2"],
    "GSE234832": ["BRBMET2", "BRBMET3"],
    "GSE161529": ["GSM4909281"],
    "GSE176078": ["CID4465"],
    "GSE174401": ["GSE174401"],
    "GSE67835": ["GSE67835"],
    "GSE184869": ["GSE184869"],
}


class Tumour:
    """Real cells: counts (genes × cells), barcodes without lane, features, labels."""

    def __init__(self, folder: Path) -> None:
        stem = folder / "GSE176078" / "GSM5354528_CID4465_"
        with gzip.open(f"{stem}matrix.mtx.gz") as stream:
            self.counts = sp.csc_matrix(scipy.io.mmread(stream))
        self.barcodes = gzip.decompress(Path(f"{stem}barcodes.tsv.gz").read_bytes()).decode().split()
        self.features = gzip.decompress(Path(f"{stem}features.tsv.gz").read_bytes()).decode()
        labels = pd.read_csv(f"{stem}Cell_Types_Annotations.csv.gz")
        self.labels = dict(zip(labels.iloc[:, 0].str.split("_").str[-1], labels["celltype_major"], strict=True))

    def part(self, start: int) -> tuple[sp.csc_matrix, list[str]]:
        """Some of the cells."""
        return self.counts[:, start : start + CELLS], self.barcodes[start : start + CELLS]


def mtx(X: sp.csc_matrix) -> bytes:
    buffer = io.BytesIO()
    scipy.io.mmwrite(buffer, X.tocoo(), field="integer")
    return buffer.getvalue()


def pack(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            data = gzip.compress(data, 1) if name.endswith(".gz") else data
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def triplet(tumour: Tumour, prefix: str, start: int, *, features: bool = True) -> dict[str, bytes]:
    X, barcodes = tumour.part(start)
    members = {f"{prefix}barcodes.tsv.gz": "\n".join(barcodes).encode() + b"\n", f"{prefix}matrix.mtx.gz": mtx(X)}
    return members | ({f"{prefix}features.tsv.gz": tumour.features.encode()} if features else {})


def gse186344(tumour: Tumour, folder: Path, _: Path) -> None:
    members = {}
    for gsm, name, start in ((5645891, "Breast_1", 0), (5645892, "Breast_2", 100), (5645907, "Mouse_1", 200)):
        prefix = f"GSM{gsm}_{name}_"
        rows = "".join(f"s1_{name}_{b.split('-')[0]},MTC\n" for b in tumour.part(start)[1][: CELLS // 2])
        members |= triplet(tumour, prefix, start)
        members[f"{prefix}Cell_Types_Annotations.csv.gz"] = f",Cell_Type\n{rows}".encode()
    pack(folder / "GSE186344_RAW.tar", members)


def gse234832(tumour: Tumour, folder: Path, _: Path) -> None:
    parts = [triplet(tumour, f"GSM747532{i}_{name}.", 100 * i - 300) for i, name in ((4, "BRBMET2"), (5, "BRBMET3"))]
    pack(folder / "GSE234832_RAW.tar", parts[0] | parts[1])


def gse161529(tumour: Tumour, folder: Path, _: Path) -> None:
    pack(folder / "GSE161529_RAW.tar", triplet(tumour, "GSM4909281_TN-MH0126-", 300, features=False))
    (folder / "GSE161529_features.tsv.gz").write_bytes(gzip.compress(tumour.features.encode()))


def gse176078(tumour: Tumour, folder: Path, _: Path) -> None:
    (X, first), (Y, second) = tumour.part(400), tumour.part(500)
    names = [f"CID4465_{b.split('-')[0]}" for b in first] + [f"CID3586_{b.split('-')[0]}" for b in second]
    symbols = [line.split("\t")[1] for line in tumour.features.splitlines()]
    rows = "".join(f"{n},{n.split('_')[0]},{tumour.labels[n.split('_')[1]]},{'T cells CD4+'}\n" for n in names)
    inside = "Wu_etal_2021_BRCA_scRNASeq/"
    members = {
        f"{inside}count_matrix_sparse.mtx": mtx(sp.hstack([X, Y], format="csc")),
        f"{inside}count_matrix_genes.tsv": "\n".join(symbols).encode(),
        f"{inside}count_matrix_barcodes.tsv": "\n".join(names).encode(),
        f"{inside}metadata.csv": f",orig.ident,celltype_major,celltype_minor\n{rows}".encode(),
    }
    pack(folder / "GSE176078_Wu_etal_2021_BRCA_scRNASeq.tar.gz", members, "w:gz")


def gse174401(tumour: Tumour, folder: Path, _: Path) -> None:
    X, barcodes = tumour.part(600)
    rows = [line.split("\t") for line in tumour.features.splitlines()]
    folder.mkdir(parents=True)
    with h5py.File(folder / "GSE174401_filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        for name, values in (("data", X.data), ("indices", X.indices), ("indptr", X.indptr), ("shape", X.shape)):
            group[name] = np.asarray(values)
        group["barcodes"] = np.array(barcodes, "S")
        features = group.create_group("features")
        features["id"], features["name"] = np.array([r[0] for r in rows], "S"), np.array([r[1] for r in rows], "S")
        features["feature_type"] = np.array(["Gene Expression"] * len(rows), "S")


def gse67835(_: Tumour, folder: Path, real: Path) -> None:
    frame = pd.read_csv(real / "GSE67835/GSE67835_counts.tsv.gz", sep="\t", index_col=0, usecols=range(9))
    pack(
        folder / "GSE67835_RAW.tar",
        {
            f"GSM{1657871 + i}_1772078217.C{i:02d}.csv.gz": "".join(
                f"{g} \t{v}\n" for g, v in frame[c].items()
            ).encode()
            for i, c in enumerate(frame)
        },
    )


def gse184869(_: Tumour, folder: Path, __: Path) -> None:
    genes = pd.read_csv(HOME / "resources/genes/human.tsv.gz", sep="\t", usecols=["ensembl_id", "biotype"])
    genes = genes[genes["biotype"] == "protein_coding"]["ensembl_id"].tolist()
    names = [f"{site}{i}" for i in range(1, 5) for site in ("BM", "BP")] + [
        "3M_RCS",
        "3P_RCS",
        "MAYO_BM_3",
        "MAYO_BP_3",
    ]
    values = np.random.default_rng(0).normal(4, 2, (len(genes), len(names)))
    frame = pd.DataFrame(values.round(3), columns=names)
    frame.insert(0, "ensembl_gene_id", genes)
    folder.mkdir(parents=True)
    name = "GSE184869_rna_seq_batch_corrected_log2_TMM_normalised_CPM_protein_coding_genes.xlsx"
    frame.to_excel(folder / name, sheet_name="log2TMMCPM", index=False)


BUILD: tuple[Callable[[Tumour, Path, Path], None], ...] = (
    gse186344, gse234832, gse161529, gse176078, gse174401, gse67835, gse184869,
)  # fmt: skip


def settings(mirror: Path) -> dict:
    loaded = datasets.load(list(WANTED), folders=[REGISTRY])
    wanted = {sample for samples in WANTED.values() for sample in samples}
    left_out = [s["id"] for entry in loaded.values() for s in entry["samples"] if s["id"] not in wanted]
    return {"datasets": list(WANTED), "exclude": left_out, "fetch": {"mirror": str(mirror), "offline": True}}


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """A run's folder after fetch and ingest."""
    folder = tmp_path_factory.mktemp("mirrored")
    tumour = Tumour(real_data)
    for build in BUILD:
        build(tumour, folder / "mirror" / build.__name__.upper(), real_data)
    wanted = [f"results/samples/{sample}/counts.h5ad" for samples in WANTED.values() for sample in samples]
    snakemake(folder, "--cores", "2", *wanted, "results/tables/bulk.tsv", config=settings(folder / "mirror"))
    return folder


@pytest.mark.parametrize(
    ("sample", "start"),
    [
        ("GSE186344_Breast_1", 0),
        ("GSE186344_Breast_2", 100),
        ("BRBMET2", 100),
        ("BRBMET3", 200),
        ("GSM4909281", 300),
        ("CID4465", 400),
        ("GSE174401", 600),
    ],
)
def test_cells_arrive_with_their_counts(mirrored: Path, real_data: Path, sample: str, start: int) -> None:
    tumour = Tumour(real_data)
    X, barcodes = tumour.part(start)
    counts = open_counts(mirrored / f"results/samples/{sample}/counts.h5ad")
    found = [cell.split(":")[1].split("_")[-1].split("-")[0] for cell in counts.cells.index]
    assert found == [barcode.split("-")[0] for barcode in barcodes]
    lost = read_table(mirrored / f"results/samples/{sample}/genes_lost.tsv", "genes_lost").iloc[0]
    kept = counts.matrix().sum() / X.sum()
    assert kept == pytest.approx(1 - lost["share_counts_lost"], abs=1e-4) and kept > 0.97
    symbols = [line.split("\t")[1] for line in tumour.features.splitlines()]
    for gene in ("EPCAM", "CD3E", "MALAT1"):
        ours = counts.matrix()[:, counts.genes["symbol"].tolist().index(gene)].toarray().ravel()
        assert (ours == X[[symbols.index(gene)]].toarray().ravel()).all()


def test_labels_arrive(mirrored: Path) -> None:
    cells = open_counts(mirrored / "results/samples/GSE186344_Breast_1/counts.h5ad").cells
    assert (cells["author_cell_type"] == "malignant_epithelial").sum() == CELLS // 2
    assert set(open_counts(mirrored / "results/samples/CID4465/counts.h5ad").cells["author_label"]) == {"T cells CD4+"}


def test_cells_of_plates_arrive(mirrored: Path) -> None:
    counts = open_counts(mirrored / "results/samples/GSE67835/counts.h5ad")
    assert counts.cells.index.tolist() == [f"GSE67835:1772078217.C{i:02d}" for i in range(8)]
    assert not counts.genes["symbol"].isin(["no_feature", "ambiguous"]).any()


def test_bulk_pairs_arrive(mirrored: Path) -> None:
    table = read_table(mirrored / "results/tables/bulk.tsv", "bulk")
    assert set(table["estimator"]) == {"bulk_paired"} and set(table["n_a"]) == {6}
    assert table["effect"].notna().sum() > 50 and (table["fdr"].dropna() > 0.05).all()


def test_a_file_that_is_not_in_the_mirror_is_named(mirrored: Path, tmp_path: Path) -> None:
    config = settings(mirrored / "mirror") | {"datasets": ["GSE202501"], "exclude": []}
    printed = snakemake(tmp_path, "--cores", "1", "results/samples/GSM6123277/counts.h5ad", config=config, check=False)
    assert "GSE202501_RAW.tar" in printed


@pytest.mark.slow
def test_the_mirrored_series_run_to_the_end(mirrored: Path) -> None:
    snakemake(mirrored, "--cores", "2", config=settings(mirrored / "mirror"))
    assert (mirrored / "results/atlas.h5ad").is_file() and (mirrored / "results/report.html").is_file()


@pytest.mark.slow
def test_files_that_are_no_samples_are_printed(mirrored: Path) -> None:
    printed = snakemake(mirrored, "--cores", "2", "discover", config=settings(mirrored / "mirror"))
    assert '{id: "Mouse_1", match: "GSM5645907_Mouse_1", donor: "Mouse_1", condition: other}' in printed
    assert "# GSE186344_Breast_3: no file begins with GSM5645893;" in printed and 'match: "GSE161529"' not in printed
    assert "# GSE174401\n# one sample of 60 cells" in printed
