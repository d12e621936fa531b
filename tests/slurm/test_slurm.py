"""One sample through a real Slurm of one node gives the same bytes as through the local machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.running import HOME, snakemake, tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))) or os.geteuid() != 0,
        reason="needs Debian's slurm-wlm and munge, and root to start them",
    ),
]
HERE = Path(__file__).parent
TARGETS = ["results/samples/demoN_N1/scores.parquet", "results/samples/demoN_N1/evidence/markers.parquet"]


@pytest.fixture
def slurm(tmp_path):
    """A cluster of this machine; its configuration is where Debian looks for it."""
    folder = tmp_path / "slurm"
    subprocess.run([HERE / "start", folder], check=True, timeout=60)
    yield
    subprocess.run([HERE / "stop", folder], check=True, timeout=60)


def test_the_same_bytes_through_slurm(slurm, tmp_path):
    here, there = tmp_path / "local", tmp_path / "cluster"
    here.mkdir()
    there.mkdir()
    snakemake(here, "--cores", "2", "--", *TARGETS, config=tiny())
    (there / "mine.yaml").write_text(yaml.safe_dump(tiny()))
    command = [sys.executable, "-m", "snakemake", "-s", str(HOME / "Snakefile"), "-d", str(there)]
    options = [
        "--profile", str(HOME / "workflow/profiles/slurm"), "--configfile", str(there / "mine.yaml"),
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3",
        "--seconds-between-status-checks", "3", "--slurm-no-account", "--latency-wait", "5",
    ]  # fmt: skip
    done = subprocess.run([*command, *options, "--", *TARGETS], capture_output=True, text=True, cwd=there, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    for target in TARGETS:
        assert (there / target).read_bytes() == (here / target).read_bytes()
