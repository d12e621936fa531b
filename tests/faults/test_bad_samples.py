"""Bad samples beside a good one: each fails alone, is named with its remedy, and leaves nothing."""

import gzip
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from brainmet.core import tables

from tests.ingest.test_ingest import write_triplet
from tests.running import HOME, snakemake

N_CELLS, N_GENES = 60, 2000
BARCODES = ["".join("ACGT"[(i >> 2 * k) % 4] for k in range(8)) + f"{i:04d}-1" for i in range(N_CELLS)]
TABLE = pd.read_csv(HOME / "resources/genes/human.tsv.gz", sep="\t", usecols=["symbol", "biotype"])
SYMBOLS = TABLE.loc[TABLE["biotype"] == "protein_coding", "symbol"].drop_duplicates().head(N_GENES).tolist()
SAID = {
    "truncated": ("ingest", r"truncated_matrix\.mtx\.gz: the file is truncated or damaged .*fetch it again"),
    "misshapen": ("ingest", r"features\.tsv\.gz lists 2000 features and misshapen_barcodes\.tsv\.gz 59 barcodes"),
    "repeated": ("ingest", rf"the barcode {BARCODES[0]} occurs more than once"),
    "negative": ("ingest", r"negative_matrix\.mtx\.gz: the lowest value is -\d"),
    "fractional": ("ingest", r"fractional_matrix\.mtx\.gz: .*say values: "),
    "hollow": ("ingest", r"hollow_matrix\.mtx\.gz: all 60 cells are empty"),
    "mouse": ("ingest", r"mouse_matrix\.mtx\.gz: 100% of the counts .*set organism: mouse"),
    "unlabelled": ("ingest", r"unlabelled_labels\.csv: no barcode of the table matches a cell"),
    "shallow": ("qc", r"no cell passes|none of"),
}
"""Sample to the rule that stops and what it says."""


def write_sample(folder: Path, name: str) -> None:
    """Files of one sample with one thing wrong, and its dataset file."""
    rng = np.random.default_rng(len(name))
    counts = rng.poisson(0.6, (N_GENES, N_CELLS))
    symbols, barcodes = SYMBOLS, list(BARCODES)
    if name == "negative":
        counts = counts - 1
    if name == "fractional":
        counts = counts + np.where(counts > 0, rng.random(counts.shape), 0)
    if name == "hollow":
        counts = np.zeros_like(counts)
    if name == "shallow":
        counts = np.where(np.arange(N_GENES)[:, None] < 20, counts, 0)
    if name == "repeated":
        barcodes[-1] = barcodes[0]
    if name == "misshapen":
        barcodes = barcodes[:-1]
    if name == "mouse":
        symbols = [f"{symbol.capitalize()}-m" for symbol in symbols]
    files = write_triplet(folder, counts, prefix=f"{name}_", symbols=symbols, barcodes=barcodes)
    if name == "truncated":
        files[0].write_bytes(files[0].read_bytes()[:-2000])
    document = {
        "schema": 1, "id": name, "title": name, "organism": "human", "technology": "10x_3prime", "suspension": "cell",
        "values": "counts", "layout": "tenx_triplet", "files": [{"name": f.name, "path": f.name} for f in files],
        "samples": [{"id": name, "match": name, "condition": "primary"}],
    }  # fmt: skip
    if name == "unlabelled":
        (folder / "unlabelled_labels.csv").write_text("Barcode,type\nGATTACAGATTACA-9,x\n")
        document["files"].append({"name": "unlabelled_labels.csv", "path": "unlabelled_labels.csv"})
        document["labels"] = {"file": "unlabelled_labels.csv", "barcode": "Barcode", "column": "type"}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, dict, str]:
    """A run over the good and the bad samples: its folder, its configuration, what it printed."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "data").mkdir()
    for name in ("good", *SAID):
        write_sample(folder / "data", name)
    config = {"datasets": ["good", *SAID], "dataset_paths": ["data"]}
    targets = ["results/samples/good/scores.parquet", "results/tables/qc.tsv", "results/cohort/features.tsv"]
    return folder, config, snakemake(folder, "--cores", "2", "--", *targets, config=config, check=False)


@pytest.mark.parametrize("name", SAID)
def test_each_is_named_with_its_remedy_and_the_line_to_add(run, name):
    folder, _, printed = run
    rule, said = SAID[name]
    line = rf"sample {name}: .*{said}.*add it to your config: exclude: \[{name}\]"
    # Jobs and Snakemake write to one stream: a job's line may begin inside a long line of another, the last words not.
    assert re.search(rf"brainmet: {line}", printed), "\n".join(re.findall(r"^brainmet.*", printed, re.M))
    assert re.search(rf"^brainmet: rule {rule}, {name}: {line} \(logs/{rule}/{name}\.log\)$", printed, re.M)
    assert re.search(said, (folder / f"logs/{rule}/{name}.log").read_text())


@pytest.mark.parametrize("name", SAID)
def test_each_leaves_nothing_of_the_failed_job(run, name):
    folder = run[0] / "results/samples" / name
    whole = {"counts.h5ad", "genes_lost.tsv", "inputs.tsv"} if SAID[name][0] == "qc" else set()
    assert {path.name for path in folder.glob("*") if path.is_file()} == whole


def test_the_others_results_stay_and_the_cohort_waits(run):
    results = run[0] / "results"
    assert (results / "samples/good/scores.parquet").is_file()
    assert not (results / "tables/qc.tsv").exists()
    assert not (results / "cohort/features.tsv").exists()


def test_the_lines_to_add_lead_on(run):
    folder, config, _ = run
    snakemake(folder, "--cores", "2", "--", "results/tables/qc.tsv", config=config | {"exclude": list(SAID)})
    qc = tables.read_table(folder / "results/tables/qc.tsv", "qc")
    assert set(qc["sample"]) == {"good", *SAID}


def test_a_missing_file_is_told_before_any_job(run, tmp_path):
    folder, config, _ = run
    config = config | {"dataset_paths": [str(folder / "data"), "."], "datasets": ["good", "gone"]}
    document = yaml.safe_load((folder / "data/good.yaml").read_text()) | {"id": "gone"}
    document["samples"] = [{"id": "gone", "match": "good", "condition": "primary"}]
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(document))
    printed = snakemake(tmp_path, "-n", config=config, check=False)
    said = r"gone.yaml: files: good_matrix.mtx.gz: there is no .*; correct path .*exclude: \[gone\]"
    assert re.search(said, printed), printed


@pytest.mark.slow
@pytest.mark.ci
def test_a_sample_edited_in_place_is_caught(run, tmp_path):
    """A downloaded file is held to the bytes of its download; a file of one's own is read again."""
    source, config, _ = run
    mirror = tmp_path / "mirror/x"
    mirror.mkdir(parents=True)
    document = yaml.safe_load((source / "data/good.yaml").read_text()) | {"id": "fetched"}
    for file in document["files"]:
        (mirror / file["name"]).write_bytes((source / "data" / file["name"]).read_bytes())
        file["url"] = f"https://example.org/x/{file['name']}"
        del file["path"]
    (tmp_path / "fetched.yaml").write_text(yaml.safe_dump(document))
    config = {"datasets": ["fetched"], "dataset_paths": ["."], "fetch": {"mirror": str(tmp_path / "mirror")}}
    target = ["--cores", "2", "--", "results/samples/good/counts.h5ad"]
    snakemake(tmp_path, *target, config=config)
    path = tmp_path / "downloads/fetched/good_matrix.mtx.gz"
    text = gzip.decompress(path.read_bytes()).replace(b" 1\n", b" 2\n", 1)
    path.write_bytes(gzip.compress(text))
    printed = snakemake(tmp_path, *target, config=config, check=False)
    assert re.search(
        r"good_matrix.mtx.gz: the file was edited or replaced: sha256 is .*first download had .*; delete it", printed
    )
    path.unlink()
    snakemake(tmp_path, *target, config=config)


@pytest.mark.slow
@pytest.mark.ci
def test_a_file_of_ones_own_replaced_by_an_older_one_is_read_again(run, tmp_path):
    folder = shutil.copytree(run[0] / "data", tmp_path / "data").parent
    config = {"datasets": ["good"], "dataset_paths": ["data"]}
    target = "results/samples/good/counts.h5ad"
    snakemake(folder, "--cores", "2", "--", target, config=config)
    assert "Nothing to be done" in snakemake(folder, "-n", "--", target, config=config)
    path = folder / "data/good_matrix.mtx.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b" 1\n", b" 2\n", 1)))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert re.search(r"^ingest\s+1$", snakemake(folder, "-n", "--", target, config=config), re.M)
