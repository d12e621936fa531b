"""Lines that a dataset file still lacks, once its files are there."""

import gzip
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import yaml
from brainmet.datasets import read
from brainmet.datasets.discover import discover
from brainmet.knowledge.genes import GeneTable

from tests.ingest.test_ingest import BARCODES, SYMBOLS, counts, write_triplet
from tests.test_mirror import pack


def found(folder: Path, human: GeneTable, layout: str, names: list[str], **entry: Any) -> tuple[str, dict[str, Any]]:
    """The text, and the samples that it proposes as a dataset file would hold them."""
    files = [{"name": name, "path": name} for name in names]
    path = folder / "GSE1.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "id": "GSE1", "layout": layout, "files": files} | entry))
    text = discover(read(path), [folder / name for name in names], human)
    proposed = yaml.safe_load(text) or []
    path.write_text(yaml.safe_dump({"schema": 1, "id": "GSE1", "layout": layout, "files": files, "samples": proposed}))
    return text, {sample["id"]: sample["match"] for sample in read(path)["samples"]} if proposed else {}


def triplets(folder: Path, *prefixes: str) -> dict[str, bytes]:
    members = {}
    for prefix in prefixes:
        for path in write_triplet(folder, counts(), prefix=prefix):
            members[path.name] = gzip.decompress(path.read_bytes())
            path.unlink()
    return members


def test_files_of_an_archive_that_are_no_samples(tmp_path: Path, human: GeneTable) -> None:
    beside = {"GSM1_metrics_summary.csv": b"x", "all/analysis/clusters.csv": b"x"}
    pack(tmp_path / "a.tar", triplets(tmp_path, "GSM1_Breast_1_", "GSM2_Breast_2_", "GSM10_Lung-1.") | beside)
    listed = [{"id": "one", "match": "GSM1_Breast_1"}, {"id": "gone", "match": "GSM7_Breast"}]
    text, proposed = found(tmp_path, human, "tenx_triplet", ["a.tar"], samples=listed)
    assert proposed == {"Breast_2": "GSM2_Breast_2", "Lung-1": "GSM10_Lung-1"}
    assert "# gone: no file begins with GSM7_Breast; correct its match" in text and "2 groups of files" in text


def test_names_that_differ_in_case_alone_keep_what_tells_them_apart(tmp_path: Path, human: GeneTable) -> None:
    pack(tmp_path / "a.tar", triplets(tmp_path, "GSM1_p1_", "GSM2_P1_", "GSM3_P2_"))
    _, proposed = found(tmp_path, human, "tenx_triplet", ["a.tar"], samples=[{"id": "one", "match": "none"}])
    assert proposed == {"GSM1_p1": "GSM1_p1", "GSM2_P1": "GSM2_P1", "P2": "GSM3_P2"}


def test_samples_of_every_layout_in_use_are_looked_for(tmp_path: Path, human: GeneTable) -> None:
    ends = ("GSM2_B", "GSM3_C")
    beside = {f"{end}_filtered_feature_bc_matrix.h5": b"x" for end in ends} | {"GSM4_D.h5ad": b"x"}
    pack(tmp_path / "a.tar", triplets(tmp_path, "GSM1_A_") | beside)
    listed = [{"id": "A", "match": "GSM1_A"}, {"id": "B", "match": "GSM2_B", "layout": "tenx_h5"}]
    assert found(tmp_path, human, "tenx_triplet", ["a.tar"], samples=listed)[1] == {"C": "GSM3_C"}
    assert found(tmp_path, human, "tenx_triplet", ["a.tar"], samples=listed[:1])[1] == {}


def test_genes_of_all_samples_are_no_sample_and_files_of_cells_may_be_one(tmp_path: Path, human: GeneTable) -> None:
    pack(tmp_path / "a.tar", triplets(tmp_path, "GSM1_", "GSM2_") | {"GSE1_features.tsv": b"x"})
    _, proposed = found(tmp_path, human, "tenx_triplet", ["a.tar"], samples=[{"id": "one", "match": "GSM1"}])
    assert proposed == {"GSM2": "GSM2"}
    text, _ = found(tmp_path, human, "tenx_triplet", ["a.tar"])
    assert "# all files are read as one sample; were their 2 groups samples of their own" in text


def test_names_that_share_the_accession_alone(tmp_path: Path, human: GeneTable) -> None:
    names = ["HTAPP-9_fresh_channel1_raw_gene_bc_matrices_h5.h5.gz", "metadata_HTAPP-9_fresh_channel1.csv.gz"]
    pack(tmp_path / "a.tar", {f"GSM{i}_{name}": b"x" for i in (1, 11) for name in names})
    text, proposed = found(tmp_path, human, "tenx_h5", ["a.tar"])
    assert proposed == {"GSM1": "GSM1", "GSM11": "GSM11"} and names[0] in text


def test_a_name_in_a_folder_and_in_an_archive_that_no_sample_is_named_by(tmp_path: Path, human: GeneTable) -> None:
    pack(tmp_path / "data.tar", dict.fromkeys(("P1/tumour.h5", "tumour.h5"), b"x"))
    assert set(found(tmp_path, human, "tenx_h5", ["data.tar"])[1].values()) == {"data/P1/tumour", "tumour"}


def test_values_of_a_column_that_are_no_samples(tmp_path: Path, human: GeneTable) -> None:
    write_triplet(tmp_path, counts())
    pd.DataFrame({"cell": BARCODES, "donor": list("aabbcc")}).to_csv(tmp_path / "cells.csv", index=False)
    names = ["matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz", "cells.csv"]
    entry = {
        "cells": {"file": "cells.csv", "barcode": "cell"},
        "split_by": {"cells": "donor"},
        "samples": [{"id": "A", "match": "a"}, {"id": "Z", "match": "z"}],
    }
    text, proposed = found(tmp_path, human, "tenx_triplet", names, **entry)
    assert proposed == {"GSE1_b": "b", "GSE1_c": "c"} and "# Z: no cell has donor z" in text and "# 2 cells" in text
    text, proposed = found(
        tmp_path,
        human,
        "tenx_triplet",
        names[:3],
        split_by={"barcode": "^([ACGT])"},
        samples=[{"id": "A", "match": "A"}],
    )
    assert proposed == {f"GSE1_{base}": base for base in "CGT"}


def test_one_matrix_tells_what_it_could_be_split_by(tmp_path: Path, human: GeneTable) -> None:
    obs = pd.DataFrame({"donor_id": list("xxyyzz"), "n": np.arange(6.0), "same": "s"}, index=BARCODES)
    obs.index = [f"{barcode[:-1]}{i % 2 + 1}" for i, barcode in enumerate(obs.index)]
    anndata.AnnData(counts().T, obs, pd.DataFrame(index=SYMBOLS)).write_h5ad(tmp_path / "a.h5ad")
    text, proposed = found(tmp_path, human, "h5ad", ["a.h5ad"])
    assert not proposed and "one sample of 6 cells, the first AAACCTGAGAAACCAT-1" in text
    assert "# split_by: {barcode: '-(\\d+)$'} gives 2 samples: 1 (3), 2 (3)" in text
    assert "{obs: n}" not in text  # one cell a value
    assert "# split_by: {obs: donor_id} gives 3 samples: x (2), y (2), z (2)" in text and "same" not in text


def test_lines_under_the_header_of_a_table_are_offered(tmp_path: Path, human: GeneTable) -> None:
    rows = [
        ["", *BARCODES],
        ["patient", *"ABABAB"],
        *([s, *map(str, row)] for s, row in zip(SYMBOLS, counts(), strict=True)),
    ]
    (tmp_path / "t.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    text, _ = found(tmp_path, human, "dense_text", ["t.tsv"])
    assert "# split_by: {obs: patient} gives 2 samples: A (3), B (3)" in text
    _, proposed = found(tmp_path, human, "dense_text", ["t.tsv"], split_by={"obs": "patient"})
    assert proposed == {"GSE1_A": "A", "GSE1_B": "B"}


def test_a_whole_entry_says_so(tmp_path: Path, human: GeneTable) -> None:
    pack(tmp_path / "a.tar", triplets(tmp_path, "GSM1_A_"))
    text, proposed = found(tmp_path, human, "tenx_triplet", ["a.tar"], samples=[{"id": "A", "match": "GSM1"}])
    assert text == "# GSE1\n# every file is a sample's\n" and not proposed
