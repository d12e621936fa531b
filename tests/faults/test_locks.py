"""Disks that refuse locks, as some network disks do: HDF5 takes none, so that a locked file is read all the same."""

import fcntl
import shutil

import pytest

from tests.running import begin, mini, snakemake

TARGET = "results/samples/demoA_M1/cells.parquet"


@pytest.mark.slow
@pytest.mark.ci
def test_a_job_reads_counts_that_are_locked(mini_run, tmp_path, monkeypatch):
    folder = shutil.copytree(mini_run, tmp_path / "run")
    for name in ("cells.parquet", "moments.parquet", "qc.tsv"):
        (folder / TARGET).with_name(name).unlink()
    with (folder / TARGET).with_name("counts.h5ad").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "TRUE")
        process = begin(folder, "--cores", "1", "--", TARGET, config=mini())
        printed, _ = process.communicate(timeout=600)
        assert process.returncode and "unable to lock file" in printed, "the lock is one that HDF5 would meet"
        monkeypatch.delenv("HDF5_USE_FILE_LOCKING")
        snakemake(folder, "--cores", "1", "--", TARGET, config=mini())
    assert (folder / TARGET).read_bytes() == (mini_run / TARGET).read_bytes()
