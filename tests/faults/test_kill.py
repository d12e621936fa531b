"""kill -9 at seeded random moments, of Snakemake and of its jobs; then the same command again gives the same bytes."""

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.running import command, digests, environment, mini, snakemake

pytestmark = pytest.mark.slow
N_JOBS = 45
"""About as many jobs as the mini run has; moments are drawn among them."""


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def parts(folder: Path) -> list[Path]:
    return list((folder / "results").rglob("*.part"))


def run_until_killed(folder: Path, *, n_jobs: int, delay: float, whom: str) -> str:
    """Start the run, wait for `n_jobs` finished jobs and `delay` seconds, then kill -9; returns what was printed.

    Args:
        whom: `snakemake`, or `job` for a job that runs at that moment.
    """
    process = subprocess.Popen(
        command(folder, "--cores", "2", config=mini()), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, cwd=folder, env=environment(),
    )  # fmt: skip
    printed = []
    finished = 0
    for line in process.stdout:
        printed.append(line)
        finished += line.startswith("Finished jobid")
        if finished == n_jobs:
            break
    time.sleep(delay)
    jobs = children(process.pid)
    while whom == "job" and not jobs and process.poll() is None:
        time.sleep(0.01)
        jobs = children(process.pid)
    for pid in jobs[:1] if whom == "job" else [process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    printed.append(process.stdout.read())
    process.wait(3600)
    if whom == "snakemake":
        deadline = time.monotonic() + 120
        while any(Path(f"/proc/{pid}/cmdline").exists() for pid in jobs):
            assert time.monotonic() < deadline, "a job went on although its Snakemake is gone"
            time.sleep(0.05)
    return "".join(printed)


def unlock(folder: Path) -> None:
    """What `docs/troubleshooting.md` says after a killed run: Snakemake's own lock, removed by its own command."""
    refused = snakemake(folder, "--cores", "2", config=mini(), check=False)
    assert "cannot be locked" in refused and "--unlock" in refused
    snakemake(folder, "--unlock", config=mini())


def survive(folder: Path, seed: int, n_kills: int) -> None:
    """Kill a run `n_kills` times, ever further on, and finish it."""
    rng = random.Random(seed)
    moments = sorted(rng.sample(range(N_JOBS), n_kills))
    for before, moment in zip([0, *moments], moments, strict=False):
        whom = rng.choice(["snakemake", "job"])
        printed = run_until_killed(folder, n_jobs=moment - before, delay=rng.uniform(0, 1.5), whom=whom)
        # None where the run was done before the moment came, no folder where it had hardly begun.
        if any((folder / ".snakemake/locks").glob("*")):
            assert whom == "snakemake"
            unlock(folder)
        elif "Error in rule" in printed:
            assert "killed by the system before it could say why (SIGKILL), most often" in printed
    snakemake(folder, "--cores", "2", config=mini())
    assert not parts(folder)
    assert "Nothing to be done" in snakemake(folder, "--cores", "2", config=mini())


@pytest.mark.parametrize(
    ("seed", "n_kills"), [pytest.param(0, 3, marks=pytest.mark.ci), (1, 5), (2, 5), (3, 5), (4, 5)]
)
def test_killed_at_random_moments(mini_run, tmp_path, seed, n_kills):
    survive(tmp_path, seed, n_kills)
    assert digests(tmp_path) == digests(mini_run)
