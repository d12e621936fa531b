"""A full disk and a folder that cannot be written: one clear sentence, nothing corrupt, and the run goes on."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import command, digests, environment, mini, snakemake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk"),
]
ROOMY = "200m"


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of its own for `results` of a run in `tmp_path/run`."""
    place = tmp_path / "run" / "results"
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def remount(disk: Path, *options: str) -> None:
    subprocess.run(["mount", "-o", ",".join(["remount", *options]), disk], check=True)


def fill(disk: Path, kilobytes: int = 0) -> None:
    """Shrink the disk to what it holds and some kilobytes."""
    state = os.statvfs(disk)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    remount(disk, f"size={used // 1024 + kilobytes}k")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def outputs(folder: Path) -> dict[str, list[str]]:
    """Rule to the files of one of its jobs, of a finished run, in the order in which they were made."""
    lines = snakemake(folder, "--summary", config=mini()).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("output_file"))
    rows = [line.split("\t") for line in lines[start + 1 :] if line.startswith("results/")]
    first: dict[str, list[str]] = {}
    for path, _, rule, log, *_ in rows:
        first.setdefault(f"{rule} {log}", []).append(path)
    jobs: dict[str, list[str]] = {}
    for key, paths in first.items():
        jobs.setdefault(key.split()[0], paths)
    return jobs


def run_and_fill(folder: Path, disk: Path, rule: str, target: str) -> str:
    """Ask for one file and fill the disk as soon as its rule begins."""
    process = subprocess.Popen(
        command(folder, "--cores", "1", "--", target, config=mini()), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment(),
    )  # fmt: skip
    printed = ""
    for line in process.stdout:
        printed += line
        if re.match(rf"(local)?rule {rule}:", line):
            fill(disk)
    assert process.wait() != 0, printed
    return printed


def test_a_full_disk_in_every_stage(mini_run, disk):
    folder = disk.parent
    shutil.copytree(mini_run, folder, dirs_exist_ok=True)
    jobs = outputs(folder)
    assert len(jobs) > 30
    problems = []
    for rule, paths in jobs.items():
        for path in paths:
            (folder / path).unlink()
        before = content(disk)
        printed = run_and_fill(folder, disk, rule, paths[0])
        remount(disk, f"size={ROOMY}")
        told = re.findall(r"^brainmet: (.*no space left on the disk .*)$", printed, re.M)
        if not told or "Traceback" in printed:
            problems.append(f"{rule}: {printed[-1500:]}")
        if content(disk) != before:
            problems.append(f"{rule}: left {sorted(set(content(disk)) ^ set(before))}")
        for path in paths:
            shutil.copy2(mini_run / path, folder / path)
        # with Snakemake's own notes, so that the next stage starts from the finished run again
        shutil.rmtree(folder / ".snakemake")
        shutil.copytree(mini_run / ".snakemake", folder / ".snakemake")
    assert not problems, "\n\n".join(problems)
    assert "Nothing to be done" in snakemake(folder, "--cores", "2", config=mini())


def test_a_disk_that_fills_up_in_the_middle_of_a_run(mini_run, disk):
    folder = disk.parent
    remount(disk, "size=2m")
    printed = snakemake(folder, "--cores", "2", config=mini(), check=False)
    assert "no space left on the disk" in printed
    assert not list(disk.rglob("*.part"))
    remount(disk, f"size={ROOMY}")
    snakemake(folder, "--cores", "2", config=mini())
    assert digests(folder) == digests(mini_run)


def test_a_working_directory_on_a_full_disk(disk):
    fill(disk, 100)
    printed = snakemake(disk, "--cores", "2", config=mini(), check=False)
    assert "its disk is full" in printed and "make room and run the same command again" in printed


def test_results_that_cannot_be_written(disk):
    remount(disk, "ro")
    printed = snakemake(disk.parent, "--cores", "2", config=mini(), check=False)
    assert re.search(
        r"results: cannot be written; make the folder writable, or work in another one with -d FOLDER", printed
    )
    remount(disk, "rw")


def test_a_folder_closed_in_the_middle_of_a_run(mini_run, disk):
    folder = disk.parent
    shutil.copytree(mini_run, folder, dirs_exist_ok=True)
    log = folder / "logs/collect_qc.log"
    for path in (log, disk / "tables/qc.tsv", disk / "tables/samples.tsv"):
        path.unlink()
    process = subprocess.Popen(
        command(folder, "--cores", "1", "--", "results/tables/qc.tsv", config=mini()), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment(),
    )  # fmt: skip
    while not log.exists():  # before its job has begun Snakemake itself meets the closed folder, with a traceback
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.005)
    remount(disk, "ro")
    printed, _ = process.communicate(timeout=3600)
    remount(disk, "rw")
    assert "cannot be written (Read-only file system) in rule collect_qc" in printed
    snakemake(folder, "--cores", "2", config=mini())
    assert digests(folder) == digests(mini_run)
