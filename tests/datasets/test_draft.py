"""A dataset file drafted for a folder or an accession is one that reads."""

import errno
import gzip
import shutil
from pathlib import Path

import pytest
from brainmet import datasets
from brainmet.datasets.draft import draft
from brainmet.errors import BrainmetError
from brainmet.fetch.archive import Archive
from brainmet.ingest import ingest
from brainmet.ingest.species import Tolerance
from brainmet.knowledge.genes import GeneTable

from tests.ingest.test_ingest import BARCODES, SYMBOLS, counts, same, write_triplet
from tests.ingest.test_rds import OBJECTS
from tests.test_mirror import pack


def drafted(source: str | Path, tmp_path: Path, human: GeneTable, mirror: str = "") -> tuple[dict[str, dict], str]:
    """Records of the draft, and its text."""
    path = draft(str(source), tmp_path / "datasets", human, Archive(mirror=mirror, offline=True))
    dataset = datasets.read(path)
    return datasets.records({dataset["id"]: dataset}, exclude=[]), path.read_text()


def read(record: dict, human: GeneTable):
    paths = [file["path"] for file in record["files"]]
    return ingest(paths, human, None, record=record, limits=Tolerance(warn_lost=0.1, max_lost=0.4, species_share=0.9))


def dense(X) -> bytes:
    rows = [",".join(["", *BARCODES]), *(f"{s}," + ",".join(map(str, x)) for s, x in zip(SYMBOLS, X, strict=True))]
    return gzip.compress("\n".join(rows).encode())


def test_runs_of_cellranger(tmp_path: Path, human: GeneTable) -> None:
    for i, sample in enumerate(("P1", "P10")):
        for kind, seed in (("filtered", i), ("raw", 7)):
            outs = tmp_path / f"my runs/{sample}/outs"
            (outs / f"{kind}_feature_bc_matrix").mkdir(parents=True)
            write_triplet(outs / f"{kind}_feature_bc_matrix", counts(seed))
        (outs / "analysis/clustering").mkdir(parents=True)
        (outs / "analysis/clustering/clusters.csv").write_text("Barcode,Cluster\n")
        (outs / "analysis/features.csv").write_text("Feature\n")
        (outs / "web_summary.html").write_text("<html>")
    (tmp_path / "my runs/multi/raw_feature_bc_matrix").mkdir(parents=True)
    write_triplet(tmp_path / "my runs/multi/raw_feature_bc_matrix", counts())
    (tmp_path / "my runs/patients.xlsx").write_bytes(b"PK")
    records, text = drafted(tmp_path / "my runs", tmp_path, human)
    assert list(records) == ["P1", "P10"] and {record["layout"] for record in records.values()} == {"tenx_triplet"}
    assert "# patients.xlsx may describe cells" in text and "clusters.csv" not in text
    for i, sample in enumerate(("P1", "P10")):
        same(read(records[sample], human), counts(i))


def test_archives_and_tables_of_samples(tmp_path: Path, human: GeneTable) -> None:
    for i, name in enumerate(("GSM1_PATIENT-1", "GSM20_PATIENT-10")):
        (tmp_path / name).mkdir()
        paths = write_triplet(tmp_path / name, counts(i), gz=False)
        pack(tmp_path / f"deposit/{name}.tar.gz", {f"filtered/{path.name}": path.read_bytes() for path in paths})
    (tmp_path / "same").mkdir()
    for i in (1, 2):
        (tmp_path / f"same/GSM{i}_tumour.h5").write_bytes(b"x")
    assert list(drafted(tmp_path / "same", tmp_path, human)[0]) == ["GSM1_tumour", "GSM2_tumour"]
    records, _ = drafted(tmp_path / "deposit", tmp_path, human)
    assert {id_: record["match"] for id_, record in records.items()} == {
        "PATIENT-1": "GSM1_PATIENT-1",
        "PATIENT-10": "GSM20_PATIENT-10",
    }
    same(read(records["PATIENT-10"], human), counts(1))
    (tmp_path / "tables").mkdir()
    for i in (1, 2):
        (tmp_path / f"tables/GSM{i}_LX{i}_dense.csv.gz").write_bytes(dense(counts(i)))
        (tmp_path / f"tables/GSM{i}_LX{i}_cell_annotation.csv").write_text("cell\n")
    records, text = drafted(tmp_path / "tables", tmp_path, human)
    assert list(records) == ["LX1", "LX2"] and "# cell_annotation.csv may describe cells" in text
    same(read(records["LX2"], human), counts(2))


def test_one_matrix_and_a_plate(tmp_path: Path, human: GeneTable) -> None:
    (tmp_path / "one").mkdir()
    write_triplet(tmp_path / "one", counts(), barcodes=[f"{b[:-1]}{i % 2 + 1}" for i, b in enumerate(BARCODES)])
    records, text = drafted(tmp_path / "one", tmp_path, human)
    assert list(records) == ["one"] and "gives 2 samples: 1 (3), 2 (3)" in text
    (tmp_path / "plate").mkdir()
    for i in range(101):
        (tmp_path / f"plate/GSM{i}_C{i}.txt").write_text("".join(f"{s}\t{i + 1}\n" for s in SYMBOLS))
    records, text = drafted(tmp_path / "plate", tmp_path, human)
    assert "# 101 tables of one cell each" in text
    assert read(records["plate"], human).matrix.shape == (101, len(SYMBOLS))


def test_objects_of_r(tmp_path: Path, human: GeneTable) -> None:
    for name, written in {"two/P1_counts.rds": "seurat_processed.rds", "two/P2.RData": "workspace.RData"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(OBJECTS / written, tmp_path / name)
    records, _ = drafted(tmp_path / "two", tmp_path, human)
    assert list(records) == ["P1", "P2"]
    for record in records.values():
        same(read(record, human), counts())
    (tmp_path / "one").mkdir()
    shutil.copy(OBJECTS / "experiment.rds", tmp_path / "one/all.Rds")
    records, text = drafted(tmp_path / "one", tmp_path, human)
    assert list(records) == ["one"] and "# split_by: {obs: Patient} gives 2 samples: P1 (3), P2 (3)" in text
    assert "{obs: kind}" not in text  # one word, and one cell of which nothing is said


def test_an_accession_from_the_archives_lists(tmp_path: Path, human: GeneTable) -> None:
    folder = tmp_path / "mirror/geo/series/GSE999nnn/GSE999832/suppl"
    folder.mkdir(parents=True)
    inside = [
        f"GSM{i}_BRBMET{i}.{kind}" for i in (2, 3) for kind in ("barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz")
    ]
    lines = ["#Archive/File\tName\tTime\tSize\tType", "Archive\tGSE999832_RAW.tar\t-\t9\tTAR"]
    (folder / "filelist.txt").write_text("\n".join([*lines, *(f"File\t{name}\t-\t9\tMTX" for name in inside)]) + "\n")
    for name in ("GSE999832_RAW.tar", "GSE999832_metadata.csv.gz", "GSE999832_seurat.rds"):
        (folder / name).write_bytes(b"x")
    said = {"title": ("BM 1", "BM 2"), "geo_accession": ("GSM2", "GSM3"), "characteristics_ch1": ("er: pos", "er: neg")}
    table = [f"!Sample_{key}\t" + "\t".join(f'"{value}"' for value in values) for key, values in said.items()]
    (folder.parent / "matrix").mkdir()
    matrix = gzip.compress("\n".join([*table, "!series_matrix_table_begin"]).encode())
    (folder.parent / "matrix/GSE999832_series_matrix.txt.gz").write_bytes(matrix)
    records, text = drafted("GSE999832", tmp_path, human, mirror=str(tmp_path / "mirror"))
    assert {id_: record["match"] for id_, record in records.items()} == {
        f"BRBMET{i}": f"GSM{i}_BRBMET{i}" for i in (2, 3)
    }
    urls = [file["url"] for file in records["BRBMET2"]["files"]]
    assert urls == ["geo:GSE999832/GSE999832_RAW.tar", "geo:GSE999832/GSE999832_metadata.csv.gz"]
    assert 'donor: "BRBMET3", condition: other}  # BM 2 | er: neg' in text
    assert "# not read: GSE999832_seurat.rds" in text and "acc.cgi?acc=GSE999832" in text


def test_a_series_matrix_that_cannot_be_had_is_said(tmp_path: Path, human: GeneTable) -> None:
    folder = tmp_path / "mirror/geo/series/GSE999nnn/GSE999832"
    for name in ("suppl/GSE999832_BRBM1.h5ad", "matrix/GSE999832_series_matrix.txt.gz"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"\x1f\x8b cut")
    records, text = drafted("GSE999832", tmp_path, human, mirror=str(tmp_path / "mirror"))
    assert len(records) == 1
    assert "GSE999832_series_matrix.txt.gz: what came is damaged" in text and "draft again to have them here" in text


def test_what_cannot_be_drafted(tmp_path: Path, human: GeneTable) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/readme.txt").write_text("x")
    for source, part in (
        ("", "--config draft=FOLDER"),
        ("nowhere", "neither an accession"),
        (str(tmp_path / "empty"), "holds no file to read"),
        (str(tmp_path / "texts"), r"no file looks like a count matrix \(there are texts/readme.txt\)"),
        ("GSE1", "offline is true; name a folder"),
        ("GSE234832", r"is shipped: datasets: \[GSE234832\] is all"),
    ):
        with pytest.raises(BrainmetError, match=part):
            drafted(source, tmp_path, human)
    with pytest.raises(BrainmetError, match=r"GSE1: the archive lists no files at https://ftp\."):
        drafted("GSE1", tmp_path, human, mirror=str(tmp_path))
    (tmp_path / "texts/a.h5ad").write_bytes(b"x")
    drafted(tmp_path / "texts", tmp_path, human)
    with pytest.raises(BrainmetError, match=r"texts\.yaml exists and may hold what you set by hand"):
        drafted(tmp_path / "texts", tmp_path, human)


def test_nothing_half_written_is_left_to_be_taken_for_a_draft(
    tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(path: Path, text: str, **_: str) -> None:
        path.write_bytes(text[:10].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "one").mkdir()
    write_triplet(tmp_path / "one", counts())
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(Path, "write_text", fill)
        drafted(tmp_path / "one", tmp_path, human)
    assert list((tmp_path / "datasets").iterdir()) == []
    assert len(drafted(tmp_path / "one", tmp_path, human)[0]) == 1


def names(folder: Path, *paths: str) -> Path:
    """A folder of files of which the names alone are looked at."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    return folder


TRIPLET = ("matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz")
FILTERED = "outs/filtered_feature_bc_matrix"


@pytest.mark.parametrize(
    ("paths", "matches"),
    [
        ([f"{s}/{FILTERED}/{f}" for s in ("sample1", "MM2", "raw3") for f in TRIPLET], ["MM2", "raw3", "sample1"]),
        (
            [f"P{i}/{s}/{f}" for i in (1, 2) for s in ("normal", "tumor") for f in TRIPLET],
            ["a/P1/normal", "a/P1/tumor", "a/P2/normal", "a/P2/tumor"],
        ),
        (["P1/adata.h5ad", "P2/adata.h5ad"], ["a/P1/adata", "a/P2/adata"]),
        (["P1/sample_filtered_feature_bc_matrix.h5", "P2/sample_filtered_feature_bc_matrix.h5"], ["P1", "P2"]),
        (["CD45+.h5ad", "CD45-.h5ad"], ["CD45", "CD45+"]),
        (['b"c.h5ad', "d #e.h5ad", "010.h5ad"], ["010", 'b"c', "d #e"]),
        (["a/x.h5ad", "b/x.h5ad", ".ipynb_checkpoints/x-checkpoint.h5ad"], ["a/a/x", "a/b/x"]),
        (["P1.h5ad", "P2.h5ad", "figures.7z"], ["P1", "P2"]),
    ],
)
def test_names_of_samples(tmp_path: Path, human: GeneTable, paths: list[str], matches: list[str]) -> None:
    records, _ = drafted(names(tmp_path / "a", *paths), tmp_path, human)
    assert sorted(record["match"] for record in records.values()) == matches
    own = [{file["path"] for file in record["files"]} for record in records.values()]
    assert all(own) and sum(map(len, own)) == len(set().union(*own)), "no file is of two samples"


def test_a_folder_of_a_samples_name_and_one_that_is_a_number(tmp_path: Path, human: GeneTable) -> None:
    records, _ = drafted(names(tmp_path / "lung", "lung/x.h5ad", "brain/y.h5ad"), tmp_path, human)
    assert {id_: len(record["files"]) for id_, record in records.items()} == {"x": 1, "y": 1}
    each = [f"{s}/{FILTERED}/{f}" for s in ("brain", "lung") for f in TRIPLET]
    records, _ = drafted(names(tmp_path / "other/lung", *each), tmp_path / "other", human)
    assert {id_: len(record["files"]) for id_, record in records.items()} == {"brain": 3, "lung": 3}
    assert list(drafted(names(tmp_path / "2024", "x.h5ad"), tmp_path, human)[0]) == ["2024"]
    assert list(drafted(names(tmp_path / "GSE234832", "x.h5ad"), tmp_path, human)[0]) == ["GSE234832"]


def test_matrices_of_another_layout_are_named(tmp_path: Path, human: GeneTable) -> None:
    records, text = drafted(names(tmp_path / "mix", "P1.h5ad", "P2.h5ad", "velo/spliced.mtx"), tmp_path, human)
    assert list(records) == ["P1", "P2"] and "# not read, of another layout: mix/velo/spliced.mtx" in text


def test_an_archive_whose_list_is_not_answered_is_not_left_out(tmp_path: Path, human: GeneTable) -> None:
    names(tmp_path / "geo/series/GSE999nnn/GSE999832/suppl", "GSE999832_RAW.tar", "GSE999832_tsne.csv.gz")
    with pytest.raises(BrainmetError, match=r"what GSE999832_RAW.tar holds is not known: .*try again"):
        drafted("GSE999832", tmp_path, human, mirror=str(tmp_path))


def test_what_does_not_read_is_not_left(tmp_path: Path, human: GeneTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brainmet.datasets.draft.entry", lambda id_, match, about: '  - {id: "A", match: "A"}')
    with pytest.raises(BrainmetError, match=r"make no dataset file \(samples: the id A occurs more than once"):
        drafted(names(tmp_path / "a", "P1.h5ad", "P2.h5ad"), tmp_path, human)
    assert list((tmp_path / "datasets").iterdir()) == []
