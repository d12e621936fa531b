"""Through a real Slurm of one node: the same bytes as locally, and what a cluster does to jobs is recovered from."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import digests, mini, tiny
from tests.slurm.cluster import MISSING, Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING, reason="needs Debian's slurm-wlm and munge, and root to start them"),
]
SCORES = "results/samples/demoA_M1/scores.parquet"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    yield made
    made.stop()


@pytest.fixture
def started(mini_run, tmp_path) -> Path:
    """A run of which the scores of one sample are left to be made."""
    folder = shutil.copytree(mini_run, tmp_path / "run")
    (folder / SCORES).unlink()
    return folder


def same_scores(folder: Path, mini_run: Path) -> bool:
    return (folder / SCORES).read_bytes() == (mini_run / SCORES).read_bytes()


@pytest.mark.ci
def test_the_same_bytes_through_slurm(cluster, mini_run, tmp_path):
    folder = tmp_path / "run"
    printed = cluster.finish(cluster.begin(folder, config=mini()), folder)
    assert "SLURM jobid" in printed
    assert digests(folder) == digests(mini_run)


def test_a_cohort_through_slurm(cluster, tiny_run, tmp_path):
    folder = tmp_path / "run"
    cluster.finish(cluster.begin(folder, config=tiny()), folder)
    assert digests(folder) == digests(tiny_run)


def test_a_job_ended_by_scancel_is_run_again(cluster, mini_run, started):
    process = cluster.begin(started, "--", SCORES, config=mini())
    subprocess.run(["scancel", cluster.wait_for_a_job(process, started, "score")], check=True)
    printed = cluster.finish(process, started)
    assert "CANCELLED" in printed and "Trying to restart job" in printed
    assert same_scores(started, mini_run)


def test_a_job_that_exceeds_its_memory_gets_more(cluster, mini_run, started):
    ask = "score:mem_mb=60 if attempt == 1 else 900"
    printed = cluster.finish(cluster.begin(started, "--set-resources", ask, "--", SCORES, config=mini()), started)
    assert "Trying to restart job" in printed
    assert same_scores(started, mini_run)


def test_without_a_retry_the_end_of_the_run_names_memory(cluster, mini_run, started):
    process = cluster.begin(
        started, "--retries", "0", "--set-resources", "score:mem_mb=60", "--", SCORES, config=mini()
    )
    assert process.wait(3600) != 0
    printed = (started / "printed.log").read_text()
    assert "brainmet: rule score, demoA_M1: stopped by the cluster for using more memory than it asked for" in printed
    cluster.finish(cluster.begin(started, "--", SCORES, config=mini()), started)
    assert same_scores(started, mini_run)


def test_a_job_at_the_end_of_its_time_is_named_and_a_rerun_goes_on(cluster, mini_run, started):
    ask = ["--retries", "0", "--set-resources", "score:runtime=1"]
    process = cluster.begin(started, *ask, "--", SCORES, config=mini())
    cluster.wait_for_a_job(process, started, "score")
    cluster.hold(process, started, "score")
    assert process.wait(600) != 0
    printed = (started / "printed.log").read_text()
    assert "brainmet: rule score, demoA_M1: stopped by the cluster at the end of its time; ask for more time" in printed
    assert not list(started.rglob("*.part"))
    cluster.finish(cluster.begin(started, "--", SCORES, config=mini()), started)
    assert same_scores(started, mini_run)


def test_a_controller_that_restarts_loses_nothing(cluster, mini_run, started):
    process = cluster.begin(started, "--", SCORES, config=mini())
    cluster.wait_for_a_job(process, started, "score")
    cluster.restart_controller(pause=4)
    cluster.finish(process, started)
    assert same_scores(started, mini_run)


def test_partitions_are_chosen_by_the_plugins_file(cluster, mini_run, started):
    file = started / "partitions.yaml"
    file.write_text("partitions: {main: {max_runtime: 100000, max_mem_mb: 8000, max_threads: 2}}\n")
    process = cluster.begin(started, "--slurm-partition-config", str(file), "--", SCORES, config=mini())
    printed = cluster.finish(process, started)
    assert "Auto-selected partition 'main' for job score" in printed
    assert same_scores(started, mini_run)
