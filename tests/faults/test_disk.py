"""A full disk and a folder that cannot be written: one clear sentence, nothing corrupt, and the run goes on."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.running import command, digests, environment, mini, snakemake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk"),
]
ROOMY = "200m"
ON_REQUEST = (
    "scored", "by_cell_type", "cellxgene", "seurat", "pseudobulk_tsv", "design_tables", "catalogue",
    "annotation_benchmark", "project",
)  # fmt: skip


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


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def bring(source: Path, path: Path) -> None:
    """Copy a file or folder with its times over what may be there; Snakemake removes folders that became empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, path, dirs_exist_ok=True)
    else:
        shutil.copy2(source, path)


def outputs(folder: Path, config: dict, *targets: str) -> dict[str, list[str]]:
    """Rule to the files of one of its jobs, of a finished run."""
    lines = snakemake(folder, "--summary", "--", *targets, config=config).splitlines()
    jobs: dict[str, dict[str, list[str]]] = {}
    for path, _, rule, log, *_ in (line.split("\t") for line in lines if line.startswith(("results/", "downloads/"))):
        jobs.setdefault(rule, {}).setdefault(log, []).append(path)
    return {rule: next(iter(paths.values())) for rule, paths in jobs.items()}


def levels(folder: Path, config: dict, *targets: str) -> Iterator[tuple[str, ...]]:
    """Rules none of which needs another one of the same level, from the first to the last stage."""
    graph = snakemake(folder, "--rulegraph", "--", *targets, config=config)
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    sorter = TopologicalSorter({name: set() for name in names.values()})
    for above, below in re.findall(r"(\d+) -> (\d+)", graph):
        if above != below:  # a method may read another one's evidence
            sorter.add(names[below], names[above])
    sorter.prepare()
    while sorter.is_active():
        yield (level := sorter.get_ready())
        sorter.done(*level)


def run_and_fill(folder: Path, disk: Path, config: dict, targets: list[str]) -> str:
    """Ask for some files and fill the disk before the first job begins."""
    process = subprocess.Popen(
        command(folder, "--cores", "2", "--", *targets, config=config), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment(),
    )  # fmt: skip
    printed = ""
    for line in process.stdout:
        if line.startswith("Select jobs to execute") and "Select jobs" not in printed:
            fill(disk)
        printed += line
    assert process.wait() != 0, printed
    return printed


def fill_before_each_stage(
    finished: Path, disk: Path, config: dict, *targets: str, but: Iterable[str] = ()
) -> set[str]:
    """A level of stages at a time: each names its file and the remedy, and nothing is left half-written.

    Returns:
        The rules that were tried, all that the targets need `but` some.
    """
    folder = disk.parent
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    shutil.move(folder / "downloads", disk / "downloads")
    (folder / "downloads").symlink_to("results/downloads")  # so that the first stage writes to the small disk too
    jobs, problems, seen = outputs(folder, config, *targets), [], set()
    for level in levels(folder, config, *targets):
        rules = [rule for rule in level if rule in jobs and rule not in but]
        seen.update(rules)
        paths = [path for rule in rules for path in jobs[rule]]
        if not paths:
            continue
        for path in paths:
            remove(folder / path)
        before = content(disk)
        printed = run_and_fill(folder, disk, config, [jobs[rule][0] for rule in rules])
        remount(disk, f"size={ROOMY}")
        if "Traceback" in printed:
            problems.append(printed[-1500:])
        for rule in rules:
            full = rf"no space left on the disk \(0 MB free\) in rule {rule}"
            if rule == "export":  # looks before it begins
                full = "the atlas needs about .* GB, the disk has 0 GB left"
            told = rf"^brainmet: \S+: {full}; make room and run the same command again"
            if not re.search(told, printed, re.M):
                problems.append(f"{rule}: {re.findall('^brainmet: .*', printed, re.M)}")
        if left := set(content(disk)) ^ set(before):
            problems.append(f"{rules}: left {sorted(left)}")
        for path in paths:
            bring(finished / path, folder / path)
        # with Snakemake's own notes, so that the next stages start from the finished run again
        shutil.rmtree(folder / ".snakemake")
        shutil.copytree(finished / ".snakemake", folder / ".snakemake")
    assert not problems, "\n\n".join(problems)
    assert seen == set(jobs) - set(but)
    assert "Nothing to be done" in snakemake(folder, "--cores", "2", "--", *targets, config=config)
    return seen


def test_a_full_disk_in_every_stage(mini_run, disk):
    assert len(fill_before_each_stage(mini_run, disk, mini())) > 35


def test_a_full_disk_in_what_runs_on_request(mini_run, disk, tmp_path):
    """The run's own atlas serves as the finished one onto which its samples are projected."""
    finished = tmp_path / "finished"
    shutil.copytree(mini_run, finished)
    config = {**mini(), "project": {"atlas": str(mini_run / "results/atlas.h5ad")}}
    snakemake(finished, "--cores", "2", "--", *ON_REQUEST, config=config)
    rules = fill_before_each_stage(finished, disk, config, *ON_REQUEST, but=outputs(finished, config))
    assert rules >= {*ON_REQUEST} - {"scored"} | {
        "score_aucell",
        "aucell_cutoff",
        "project_sample",
        "project_reference",
    }


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
