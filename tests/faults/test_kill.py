"""kill -9 at seeded random moments, of Snakemake and of its jobs; then the same command again gives the same bytes."""

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.fetch.test_fetch import BODY, serving
from tests.running import begin, children, digests, mini, snakemake, tiny

pytestmark = pytest.mark.slow
STOP = ["--workflow-profile", "none", "--rerun-incomplete"]
"""Options under which a run ends with its first failed job, instead of making all that does not depend on it."""


def parts(folder: Path) -> list[Path]:
    return list((folder / "results").rglob("*.part"))


def wait_for_moment(process: subprocess.Popen, share: float) -> str:
    """Read on until a share of the jobs that are left has finished; returns what was printed until then."""
    printed, n_jobs, finished = "", None, 0
    for line in process.stdout:
        printed += line
        if found := re.match(r"total\s+(\d+)", line):
            n_jobs = int(found[1])
        finished += line.startswith("Finished jobid")
        if n_jobs is not None and finished >= int(share * n_jobs):
            break
    return printed


def kill(process: subprocess.Popen, whom: str) -> bool:
    """Kill -9 `snakemake`, or a `job` of it that runs now or next; returns whether there was something to kill."""
    jobs = children(process.pid)
    while whom == "job" and not jobs and process.poll() is None:
        time.sleep(0.01)
        jobs = children(process.pid)
    victims = jobs[:1] if whom == "job" else [process.pid] if process.poll() is None else []
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if whom == "snakemake":
        deadline = time.monotonic() + 120
        while any(Path(f"/proc/{pid}/cmdline").exists() for pid in jobs):
            assert time.monotonic() < deadline, "a job went on although its Snakemake is gone"
            time.sleep(0.05)
    return bool(victims)


def survive(folder: Path, config: dict, *options: str, n_kills: int, seed: int) -> None:
    """Kill a run with some options `n_kills` times, ever further on, and finish it as a user would."""
    rng, killed, refused = random.Random(seed), {"snakemake": 0, "job": 0}, False
    for left in range(n_kills, 0, -1):
        whom = rng.choice(["snakemake", "job"])
        process = begin(folder, "--cores", "2", *options, config=config)
        # The first of as many moments as are left, each drawn evenly from the jobs that are left.
        printed = wait_for_moment(process, 1 - rng.random() ** (1 / left))
        time.sleep(rng.uniform(0, 1.5))
        killed[whom] += kill(process, whom)
        printed += process.stdout.read()
        process.wait(3600)
        # None where the run was done before the moment came, no folder where it had hardly begun.
        if any((folder / ".snakemake/locks").glob("*")):
            assert whom == "snakemake"
            if not refused:
                said = snakemake(folder, "--cores", "2", config=config, check=False)
                assert "cannot be locked" in said and "--unlock" in said
                refused = True
            snakemake(folder, "--unlock", config=config)  # as docs/troubleshooting.md says
        elif "Error in rule" in printed:
            assert "killed by the system before it could say why (SIGKILL), most often" in printed
            assert "Traceback" not in printed
    assert min(killed.values()) and sum(killed.values()) >= 0.8 * n_kills, killed
    snakemake(folder, "--cores", "2", config=config)
    assert not parts(folder)
    assert "Nothing to be done" in snakemake(folder, "--cores", "2", config=config)


@pytest.mark.ci
def test_killed_at_three_random_moments(mini_run, tmp_path):
    survive(tmp_path, mini(), n_kills=3, seed=3)
    assert digests(tmp_path) == digests(mini_run)


def test_killed_at_twenty_random_moments(tiny_run, tmp_path):
    """In the smallest cohort that exercises every stage. Every killed job ends the run: moments lie in all stages."""
    survive(tmp_path, tiny(), *STOP, n_kills=20, seed=1)
    assert digests(tmp_path) == digests(tiny_run)


def test_a_download_goes_on_after_its_snakemake_was_killed(tmp_path):
    document = {
        "schema": 1, "id": "D", "title": "D", "organism": "human", "technology": "10x_3prime", "suspension": "cell",
        "values": "counts", "layout": "h5ad", "samples": [{"id": "S", "condition": "primary"}],
    }  # fmt: skip
    target = ["--cores", "1", "--", "downloads/D/data.bin"]
    part, half = tmp_path / f"{target[-1]}.part", len(BODY) // 2
    with serving() as server:
        document["files"] = [{"name": "data.bin", "url": f"{server.url}/data.bin"}]
        (tmp_path / "D.yaml").write_text(yaml.safe_dump(document))
        config = {"datasets": ["D"], "dataset_paths": ["."]}
        server.faults = ["slow"]
        process = begin(tmp_path, *target, config=config)
        while not (part.exists() and part.stat().st_size == half):
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        assert kill(process, "snakemake")
        snakemake(tmp_path, "--unlock", config=config)
        snakemake(tmp_path, *target, config=config)
        assert (tmp_path / target[-1]).read_bytes() == BODY and not part.exists()
        assert [asked for _, asked in server.seen] == [None, f"bytes={half}-"]
