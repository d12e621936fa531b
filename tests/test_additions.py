"""Each kind of addition touches one place: a copy of the workflow gets one new file or entry of each, and uses it."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from tests import running
from tests.running import HOME

READER = '''
"""A layout of our own: an npz with a dense matrix."""

import numpy as np
import scipy.sparse as sp

from brainmet.ingest.raw import Raw


def read(request):
    """Counts of the sample's one file."""
    member = request.members[0]
    with np.load(member.path, allow_pickle=False) as arrays:
        return Raw(
            matrix=sp.csr_matrix(arrays["counts"]),
            barcodes=arrays["barcodes"].astype(object),
            names=arrays["genes"].astype(object),
            name=member.name,
        )
'''
METHOD = '''
"""Calls every cell of high counts an astrocyte."""

SCOPE = "sample"
REQUIRES = ("counts", "cells")


def annotate(counts, cells, *, threshold):
    """One vote a cell."""
    import pandas as pd

    kept = cells[cells["keep"].to_numpy(bool)]
    return pd.DataFrame({"vote_astrocyte": (kept["total_counts"] > threshold).astype("float32")})
'''
SERIES = {
    "schema": 1,
    "id": "ours",
    "title": "a series of our own",
    "organism": "human",
    "technology": "10x_3prime",
    "suspension": "cell",
    "values": "counts",
    "files": [{"name": "ours.npz", "path": "ours.npz"}],
    "layout": "dense_npz",
    "samples": [{"id": "OURS", "match": "ours", "condition": "brain_metastasis"}],
}
SIGNATURE = {
    "id": "ours_signature",
    "name": "Ours",
    "category": "metabolism",
    "compartment": "tumor",
    "tier": 1,
    "readout": "mixed",
    "list_origin": "curated",
    "genes": {"up": ["GFAP", "AQP4", "EPCAM", "KRT8", "KRT18", "PTPRC"]},
    "references": [],
}
TYPE = {
    "id": "ours_type",
    "name": "Ours",
    "level": "type",
    "parent": None,
    "coarse": None,
    "decide": "clear",
    "positive": ["GFAP", "AQP4", "EPCAM", "KRT8", "KRT18"],
}
CLAIM = {
    "id": "ours_claim",
    "statement": "Malignant cells of brain metastases express more GFAP than those of primary tumours.",
    "reference": {"text": "Ours"},
    "compartment": "tumor",
    "comparison": {"id": "brain_metastasis_vs_primary", "a": "brain_metastasis", "b": "primary"},
    "readout": {"gene": "GFAP"},
    "direction": "up",
}


def snakemake(home, folder, *targets, options=()):
    """Run the copied workflow with the copied package."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(home / "workflow"),
        "NUMBA_CACHE_DIR": str(HOME / ".cache" / "numba"),
    }
    command = [sys.executable, "-m", "snakemake", "-s", str(home / "Snakefile"), "-d", str(folder), "--cores", "2"]
    return subprocess.run(
        [*command, "--configfile", str(folder / "config.yaml"), *options, "--", *targets],
        capture_output=True, text=True, env=environment, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A copy of the workflow, and a project folder with a series of 60 cells."""
    root = tmp_path_factory.mktemp("additions")
    home, folder = root / "brainmet", root / "project"
    for name in ("workflow", "config", "resources", "profiles"):
        shutil.copytree(HOME / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOME / "Snakefile", home)
    folder.mkdir()
    table = pd.read_csv(HOME / "resources/genes/human.tsv.gz", sep="\t", usecols=["symbol", "biotype"])
    symbols = table.loc[table["biotype"] == "protein_coding", "symbol"].drop_duplicates().head(3000).tolist()
    symbols = list(dict.fromkeys([*SIGNATURE["genes"]["up"], *symbols]))
    counts = np.random.default_rng(1).poisson(0.5, (60, len(symbols)))
    barcodes = np.array([f"CELL{i}" for i in range(60)])
    np.savez(folder / "ours.npz", counts=counts, genes=np.array(symbols), barcodes=barcodes)
    return home, folder


def test_one_new_file_or_entry_of_each_kind_is_used(places):
    home, folder = places
    (folder / "ours.yaml").write_text(yaml.safe_dump(SERIES))  # a series
    (home / "workflow/brainmet/ingest/dense_npz.py").write_text(READER)  # a layout
    (home / "workflow/brainmet/annotate/ours.py").write_text(METHOD)  # an annotation method
    (folder / "signatures.yaml").write_text(yaml.safe_dump({"signatures": [SIGNATURE]}))  # a signature
    (folder / "types.yaml").write_text(yaml.safe_dump({"schema": 1, "cell_types": [TYPE]}))  # a cell type
    config = {
        "datasets": ["ours"],
        "dataset_paths": ["."],
        "annotate": {"methods": ["markers", "ours"], "ours": {"threshold": 10}, "marker_files": ["types.yaml"]},
        "score": {"files": ["signatures.yaml"]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    sample = "results/samples/OURS"
    done = snakemake(home, folder, f"{sample}/evidence/ours.parquet", f"{sample}/scores.parquet")
    assert done.returncode == 0, done.stdout + done.stderr
    votes = pd.read_parquet(folder / sample / "evidence/ours.parquet")
    assert (votes["vote_astrocyte"] == 1).all()
    assert pd.read_parquet(folder / sample / "evidence/markers.parquet")["score_ours_type"].notna().all()
    scores = pd.read_parquet(folder / sample / "scores.parquet")
    assert scores["ours_signature"].notna().all()


def test_editing_a_module_reruns_what_depends_on_it(places):
    home, folder = places
    module = home / "workflow/brainmet/annotate/ours.py"
    module.write_text(module.read_text() + "\n# edited\n")
    sample = "results/samples/OURS"
    done = snakemake(home, folder, f"{sample}/evidence/ours.parquet", f"{sample}/scores.parquet", options=["-n"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule evidence:" in done.stdout + done.stderr
    assert "rule score:" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_a_claim_of_ones_own_gets_its_verdict(mini_run, tmp_path):
    folder = shutil.copytree(mini_run, tmp_path / "run")
    (folder / "claims.yaml").write_text(yaml.safe_dump({"claims": [CLAIM]}))
    config = running.mini() | {"claims": {"files": ["claims.yaml"]}}
    running.snakemake(folder, "--cores", "2", "--", "results/tables/claims.tsv", config=config)
    before, after = (
        pd.read_csv(run / "results/tables/claims.tsv", sep="\t", index_col=0) for run in (mini_run, folder)
    )
    assert list(after.index) == [*before.index, "ours_claim"]
    assert after.loc["ours_claim", "verdict"] == "not_testable"  # one donor an arm
