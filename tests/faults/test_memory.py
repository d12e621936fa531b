"""Too little memory: named as such in one sentence with the remedy, and a rerun with more goes on."""

import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.running import begin, children, mini, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.ci]
TARGET = "results/samples/demoA_M1/cells.parquet"


@pytest.fixture
def started(mini_run, tmp_path) -> Path:
    """A run of which the QC of one sample is left to be made."""
    folder = shutil.copytree(mini_run, tmp_path / "run")
    for name in ("cells.parquet", "moments.parquet", "qc.tsv"):
        (folder / TARGET).with_name(name).unlink()
    (folder / "logs/qc/demoA_M1.log").unlink()
    return folder


def run_and_meet_job(folder: Path, act) -> str:
    """Run until the job has begun, do something to it, and return what the run printed."""
    process = begin(folder, "--cores", "1", "--", TARGET, config=mini())
    while not (folder / "logs/qc/demoA_M1.log").exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.005)
    for pid in children(process.pid):
        act(pid)
    printed, _ = process.communicate(timeout=3600)
    assert process.returncode != 0, printed
    assert "Traceback" not in printed
    return printed


def leave_no_room(pid: int) -> None:
    """As under `ulimit -v`: the job may have the address space it has, and no more."""
    held = int(re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024
    resource.prlimit(pid, resource.RLIMIT_AS, (held + 2**20, held + 2**20))


def test_a_limit_of_memory_is_named(mini_run, started):
    printed = run_and_meet_job(started, leave_no_room)
    # A library that does not look at what it was given ends by a signal instead of an error.
    told = r"out of memory in rule qc of sample demoA_M1|rule qc, demoA_M1: ran out of memory, or a library failed"
    assert re.search(rf"^brainmet: ({told})", printed, re.M), printed
    assert not list(started.rglob("*.part"))
    snakemake(started, "--cores", "1", "--", TARGET, config=mini())
    assert (started / TARGET).read_bytes() == (mini_run / TARGET).read_bytes()


def test_a_job_that_the_system_kills_is_named(started):
    printed = run_and_meet_job(started, lambda pid: os.kill(pid, signal.SIGKILL))
    said = r"^brainmet: rule qc, demoA_M1: killed by the system .* most often because memory ran out; .*--cores 1"
    assert re.search(said, printed, re.M)
