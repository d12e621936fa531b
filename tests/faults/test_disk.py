"""A full disk and a folder that cannot be written: one clear sentence, nothing corrupt, and the run goes on."""

import errno
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from brainmet.fetch import Archive, fetch

from tests.faults.test_bad_samples import SYMBOLS, write_sample
from tests.fetch.test_fetch import BODY, PATIENCE, serving
from tests.running import HOME, begin, digests, mini, snakemake
from tests.score.test_metabolic_tasks import INSTALLED, write_database
from tests.test_bulk import PATTERNS, profiles_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk"),
]
ROOMY = "200m"
ON_REQUEST = (
    "scored", "by_cell_type", "cellxgene", "seurat", "pseudobulk_tsv", "design_tables", "catalogue",
    "annotation_benchmark", "project", "results/samples/demoA_M1/atlas.h5ad",
)  # fmt: skip
SCRIPTED = {
    name: "    output:\n" in body
    for path in (HOME / "workflow/rules").glob("*.smk")
    for name, body in re.findall(r"^rule (\w+):\n((?:[ \n].*\n?)*)", path.read_text(), re.M)
    if "    script:\n" in body
}
"""Every rule that runs something, and whether it makes results; the others print."""
LOOK_FIRST = {
    "export": "the atlas needs about .* GB, the disk has 0 GB left",
    "fetch": "MB are needed for .* MB are free",
}
"""Rules that ask whether there is room before they begin, and what they say."""


@dataclass(frozen=True)
class Wanted:
    """What a run is asked for, and which Python it uses."""

    config: dict[str, Any]
    targets: tuple[str, ...] = ()
    python: str = sys.executable

    def run(self, folder: Path, *options: str) -> str:
        """What Snakemake prints."""
        return snakemake(folder, *options, "--", *self.targets, config=self.config, python=self.python)

    def outputs(self, folder: Path) -> dict[str, list[str]]:
        """Rule to the files of one of its jobs, of a finished run."""
        jobs: dict[str, dict[str, list[str]]] = {}
        lines = self.run(folder, "--summary").splitlines()
        for path, _, rule, log, *_ in (
            line.split("\t") for line in lines if line.startswith(("results/", "downloads/"))
        ):
            jobs.setdefault(rule, {}).setdefault(log, []).append(path)
        return {rule: next(iter(paths.values())) for rule, paths in jobs.items()}

    def levels(self, folder: Path) -> Iterator[tuple[str, ...]]:
        """Rules none of which needs another one of the same level, from the first to the last stage."""
        graph = self.run(folder, "--rulegraph")
        names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
        sorter = TopologicalSorter({name: set() for name in names.values()})
        for above, below in re.findall(r"(\d+) -> (\d+)", graph):
            if above != below:  # a method may read another one's evidence
                sorter.add(names[below], names[above])
        sorter.prepare()
        while sorter.is_active():
            yield (level := sorter.get_ready())
            sorter.done(*level)


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of its own for `results` of a run in `tmp_path/run`."""
    with small_disk(tmp_path / "run/results") as place:
        yield place


@pytest.fixture
def python(tmp_path) -> str:
    """A Python that has the optional scCellFie."""
    if INSTALLED:
        return sys.executable
    variables = {**os.environ, "UV_PYTHON": sys.executable, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    line = ["uv", "sync", "--locked", "--quiet", "--no-dev", "--extra", "metabolism"]
    subprocess.run(line, cwd=HOME, env=variables, check=True)
    return str(tmp_path / "venv/bin/python")


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


def run_and_fill(folder: Path, disk: Path, wanted: Wanted) -> tuple[int, str]:
    """Run and fill the disk before the first job begins; returns the exit status and what was printed."""
    process = begin(folder, "--cores", "2", "--", *wanted.targets, config=wanted.config, python=wanted.python)
    printed = ""
    for line in process.stdout:
        if line.startswith("Select jobs to execute") and "Select jobs" not in printed:
            fill(disk)
        printed += line
    status = process.wait()
    remount(disk, f"size={ROOMY}")
    return status, printed


def told(rule: str, printed: str) -> bool:
    """Whether the rule's own sentence says what is wrong, and what to do; a long line of Snakemake may be cut by it."""
    full = LOOK_FIRST.get(rule, rf"no space left on the disk \(0 MB free\) in rule {rule}")
    return re.search(rf"brainmet: \S+: .*{full}; make room ", printed) is not None


def copied(finished: Path, disk: Path) -> Path:
    """The folder of a finished run whose results and downloads are on the small disk."""
    folder = disk.parent
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    shutil.move(folder / "downloads", disk / "downloads")
    (folder / "downloads").symlink_to("results/downloads")
    return folder


def fill_before_each_stage(finished: Path, disk: Path, wanted: Wanted, *, but: Iterable[str] = ()) -> set[str]:
    """A level of stages at a time: each names its file and the remedy, and nothing is left half-written.

    Returns:
        The rules that were tried, all that the targets need `but` some.
    """
    folder = copied(finished, disk)
    jobs, problems, seen = wanted.outputs(folder), [], set()
    for level in wanted.levels(folder):
        rules = [rule for rule in level if rule in jobs and rule not in but]
        seen.update(rules)
        paths = [path for rule in rules for path in jobs[rule]]
        if not paths:
            continue
        for path in paths:
            remove(folder / path)
        before = content(disk)
        status, printed = run_and_fill(folder, disk, replace(wanted, targets=tuple(jobs[rule][0] for rule in rules)))
        if not status or "Traceback" in printed:
            problems.append(printed[-1500:])
        problems += [
            f"{rule}: {re.findall('^brainmet: .*', printed, re.M)}" for rule in rules if not told(rule, printed)
        ]
        if left := set(content(disk)) ^ set(before):
            problems.append(f"{rules}: left {sorted(left)}")
        for path in paths:
            bring(finished / path, folder / path)
        # with Snakemake's own notes, so that the next stages start from the finished run again
        shutil.rmtree(folder / ".snakemake")
        shutil.copytree(finished / ".snakemake", folder / ".snakemake")
    assert not problems, "\n\n".join(problems)
    assert seen == set(jobs) - set(but)
    assert "Nothing to be done" in wanted.run(folder, "--cores", "2")
    return seen


def on_request(mini_run: Path) -> Wanted:
    """What no run makes unasked; its own atlas serves as the finished one onto which its samples are projected."""
    return Wanted({**mini(), "project": {"atlas": str(mini_run / "results/atlas.h5ad")}}, ON_REQUEST)


def of_ones_own(folder: Path, url: str, python: str) -> Wanted:
    """A bulk cohort that is fetched, a network and a database of metabolic tasks beside the mini run's samples."""
    (folder / "tasks").mkdir()
    write_database(folder / "tasks")
    (folder / "mine.tsv").write_text("source\ttarget\n" + "".join(f"A\t{symbol}\n" for symbol in SYMBOLS[:50]))
    samples = [{"id": "tissue", "donor": "tissue", "condition": "other"}]
    document = {
        "schema": 1, "id": "cohort", "title": "cohort", "organism": "human", "technology": "other",
        "suspension": "bulk", "values": "log", "layout": "bulk", "profiles": PATTERNS, "samples": samples,
        "files": [{"name": "profiles.csv", "url": f"{url}/profiles.csv"}],
    }  # fmt: skip
    (folder / "cohort.yaml").write_text(yaml.safe_dump(document))
    config = {
        **mini(), "datasets": ["demo", "cohort"], "dataset_paths": [str(folder)],
        "score": {"networks": [str(folder / "mine.tsv")], "metabolic_tasks": str(folder / "tasks")},
    }  # fmt: skip
    scores = [f"results/samples/demoA_M1/scores_{kind}.parquet" for kind in ("networks", "tasks")]
    return Wanted(config, ("results/tables/bulk.tsv", *scores), python)


def profiles() -> bytes:
    """A table of profiles of four patients, brain and breast."""
    values, conditions, donors = profiles_of(4)
    names = [f"{'BM' if c == 'brain_metastasis' else 'BP'}{d[1:]}" for c, d in zip(conditions, donors, strict=True)]
    return pd.DataFrame(values.T, SYMBOLS[: values.shape[1]], names).to_csv().encode()


def test_every_rule_is_tried(mini_run, tmp_path, python):
    """Those of the three tests of stages, and what prints."""
    wanted = [Wanted(mini()), on_request(mini_run), of_ones_own(tmp_path, "http://127.0.0.1:9", python)]
    folder = shutil.copytree(mini_run, tmp_path / "run")
    rules = {rule for each in wanted for level in each.levels(folder) for rule in level}
    assert rules | {rule for rule, writes in SCRIPTED.items() if not writes} >= set(SCRIPTED)


def test_a_full_disk_in_every_stage(mini_run, disk):
    fill_before_each_stage(mini_run, disk, Wanted(mini()))


def test_a_full_disk_in_what_runs_on_request(mini_run, disk, tmp_path):
    finished, wanted = shutil.copytree(mini_run, tmp_path / "finished"), on_request(mini_run)
    wanted.run(finished, "--cores", "2")
    fill_before_each_stage(finished, disk, wanted, but=Wanted(mini()).outputs(finished))


def test_a_full_disk_in_what_is_fetched_and_in_scores_of_ones_own_files(mini_run, disk, tmp_path, python):
    finished = shutil.copytree(mini_run, tmp_path / "finished")
    with serving() as server:
        server.body = profiles()
        wanted = of_ones_own(tmp_path, server.url, python)
        wanted.run(finished, "--cores", "2")
        tried = fill_before_each_stage(finished, disk, wanted, but=Wanted(mini()).outputs(finished).keys() - {"ingest"})
    assert tried == {"fetch", "ingest", "bulk", "score_networks", "score_tasks"}


def test_what_prints_needs_no_room(mini_run, disk, tmp_path, python):
    (tmp_path / "new").mkdir()
    write_sample(tmp_path / "new", "good")
    with serving() as server:
        server.body = profiles()
        wanted = of_ones_own(tmp_path, server.url, python)
        printing = replace(
            wanted, config={**wanted.config, "draft": str(tmp_path / "new")},
            targets=tuple(rule for rule, writes in SCRIPTED.items() if not writes),
        )  # fmt: skip
        folder = copied(mini_run, disk)
        replace(wanted, targets=("downloads/cohort/profiles.csv", "design_tables")).run(folder, "--cores", "2")
        before = content(disk)
        status, printed = run_and_fill(folder, disk, printing)
    assert status == 0 and content(disk) == before, printed
    assert "its profiles are told apart by the patterns" in printed and 'url: "http://127.0.0.1' in printed


def test_a_download_that_fills_the_disk_goes_on_from_there(disk):
    """The server does not say how large the file is."""
    fill(disk, len(BODY) // 2048)
    with serving() as server:
        source, target = {"url": f"{server.url}/data.bin"}, disk / "D/data.bin"
        server.faults = ["unsaid"] * 2
        with pytest.raises(OSError) as raised:
            fetch(source, target, Archive(), PATIENCE)
        assert raised.value.errno == errno.ENOSPC and not target.exists()
        held = target.with_name("data.bin.part").stat().st_size
        remount(disk, f"size={ROOMY}")
        fetch(source, target, Archive(), PATIENCE)
        assert target.read_bytes() == BODY and server.seen[-1][1] == f"bytes={held}-" and held > 0


def test_a_disk_that_fills_up_in_the_middle_of_a_run(mini_run, disk):
    folder = disk.parent
    remount(disk, "size=2m")
    printed = snakemake(folder, "--cores", "2", config=mini(), check=False)
    assert "no space left on the disk" in printed
    assert not list(disk.rglob("*.part"))
    remount(disk, f"size={ROOMY}")
    snakemake(folder, "--cores", "2", config=mini())
    assert digests(folder) == digests(mini_run)


def test_a_working_directory_whose_disk_fills_up(mini_run, tmp_path):
    """Neither Snakemake nor a job can write its log: one sentence on the disk, no traceback, no job to blame."""
    missing = ("results/tables/qc.tsv", "results/tables/coverage.tsv", "results/tables/dropped.tsv")
    with small_disk(tmp_path / "run") as folder:
        shutil.copytree(mini_run, folder, dirs_exist_ok=True)
        for path in missing:
            (folder / path).unlink()
        status, printed = run_and_fill(folder, folder, Wanted(mini(), missing))
        assert status and "Traceback" not in printed and "fault of the workflow" not in printed, printed
        # Of a job that ended just before, Snakemake says itself that it cannot note it.
        unnoted = r"Error recording metadata for finished job \(.*No space left on device"
        said = rf"^brainmet: \S+: its disk is full \(\d+ kB free\); make room and run the same|{unnoted}"
        assert re.search(said, printed, re.M), printed
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
    process = begin(folder, "--cores", "1", "--", "results/tables/qc.tsv", config=mini())
    while not log.exists():  # before its job has begun Snakemake itself meets the closed folder, with a traceback
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.005)
    remount(disk, "ro")
    printed, _ = process.communicate(timeout=3600)
    remount(disk, "rw")
    assert "cannot be written (Read-only file system) in rule collect_qc" in printed
    snakemake(folder, "--cores", "2", config=mini())
    assert digests(folder) == digests(mini_run)


def test_downloads_of_others_are_read_where_they_are_and_not_written(mini_run, tmp_path):
    target = ["--cores", "2", "--", "results/samples/demoA_M1/counts.h5ad"]
    (tmp_path / "run").mkdir()
    with small_disk(tmp_path / "shared") as shared:
        shutil.copytree(mini_run / "downloads", shared, dirs_exist_ok=True)
        (tmp_path / "run/downloads").symlink_to(shared)
        remount(shared, "ro")
        snakemake(tmp_path / "run", *target, config=mini())
        assert (tmp_path / "run" / target[-1]).read_bytes() == (mini_run / target[-1]).read_bytes()
        printed = snakemake(tmp_path / "run", "-n", config={"datasets": ["GSE186344"]}, check=False)
        assert re.search(r"/downloads: cannot be written; make the folder writable, or work in another one", printed)
