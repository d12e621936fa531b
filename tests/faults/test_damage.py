"""Files damaged or edited between runs, a damaged cache of kernels, two runs in one folder."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.test_bad_samples import write_sample
from tests.running import begin, command, digests, environment, mini, snakemake

pytestmark = pytest.mark.slow

READERS = {
    "results/samples/demoA_M1/counts.h5ad": "results/samples/demoA_M1/cells.parquet",
    "results/samples/demoA_M1/cells.parquet": "results/samples/demoA_M1/scores.parquet",
    "results/samples/demoA_M1/moments.parquet": "results/cohort/features.tsv",
    "results/cohort/features.tsv": "results/samples/demoA_M1/slice.npz",
    "results/samples/demoA_M1/slice.npz": "results/cohort/embedding.parquet",
    "results/cohort/neighbors.npz": "results/cohort/clusters.parquet",
    "results/samples/demoA_M1/evidence/markers.parquet": "results/cohort/annotation.parquet",
    "results/cohort/annotation.parquet": "results/samples/demoA_M1/pseudobulk.h5ad",
    "results/samples/demoA_M1/pseudobulk.h5ad": "results/cohort/pseudobulk.h5ad",
    "results/cohort/pseudobulk.h5ad": "results/tables/contrasts.tsv",
    "results/tables/contrasts.tsv": "results/report.html",
}
"""A file between two stages and something that is made from it."""


@pytest.fixture
def copy(mini_run, tmp_path) -> Path:
    """A finished run to damage."""
    return shutil.copytree(mini_run, tmp_path / "run")


@pytest.mark.parametrize("part", READERS)
def test_a_truncated_file_is_named_with_the_remedy(mini_run, copy, part):
    path = copy / part
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    printed = snakemake(copy, "--cores", "2", "--", READERS[part], config=mini(), check=False)
    assert re.search(rf"brainmet: .*{re.escape(part)}: .*; delete it and run again", printed), printed[-3000:]
    path.unlink()
    snakemake(copy, "--cores", "2", "--", READERS[part], config=mini())
    assert (copy / READERS[part]).read_bytes() == (mini_run / READERS[part]).read_bytes()


@pytest.mark.parametrize(("suffix", "damage"), [(".nbi", "cut"), (".nbc", "empty"), (".nbc", "junk")])
def test_a_damaged_cache_of_kernels_is_made_anew(tmp_path, suffix, damage):
    cache, target = tmp_path / ".cache/numba", tmp_path / "results/samples/good/counts.h5ad"
    (tmp_path / "data").mkdir()
    write_sample(tmp_path / "data", "good")
    config = {"datasets": ["good"], "dataset_paths": ["data"]}
    line = command(tmp_path, "--cores", "1", "--", str(target.relative_to(tmp_path)), config=config)
    variables = {**environment(), "NUMBA_CACHE_DIR": str(cache)}

    def run() -> str:
        target.unlink(missing_ok=True)
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=variables, timeout=600)
        return done.stdout + done.stderr

    run()
    expected = target.read_bytes()
    files = [path for path in cache.rglob("*") if path.suffix == suffix]
    assert files, "no kernel was kept"
    for path in files:
        path.write_bytes({"empty": b"", "junk": b"\x80\x04junk", "cut": path.read_bytes()[:100]}[damage])
    printed = run()
    assert "the cache of compiled kernels was damaged and is deleted now; run the same command again" in printed
    assert "Traceback" not in printed and not target.exists()
    run()
    assert target.read_bytes() == expected


def test_two_runs_in_one_folder(mini_run, tmp_path):
    first = begin(tmp_path, "--cores", "2", config=mini())
    for line in first.stdout:
        if line.startswith("Finished jobid"):
            break
    refused = snakemake(tmp_path, "--cores", "2", config=mini(), check=False)
    assert "Directory cannot be locked" in refused
    first.communicate(timeout=1200)
    assert first.returncode == 0
    assert digests(tmp_path) == digests(mini_run)


def test_an_intermediate_that_was_deleted_is_made_again_when_it_is_needed(mini_run, copy):
    deleted = ["results/samples/demoA_P1/counts.h5ad", "results/cohort/neighbors.npz"]
    for path in deleted:
        (copy / path).unlink()
    assert "Nothing to be done" in snakemake(copy, "--cores", "2", config=mini())
    snakemake(copy, "--cores", "2", *deleted, config=mini())
    snakemake(copy, "--cores", "2", config=mini())
    assert digests(copy) == digests(mini_run)
