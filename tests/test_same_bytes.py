"""The same bytes for any number of cores, order of jobs, working directory and version of Python.

Reruns after a kill are in `tests/faults`, Slurm in `tests/slurm`.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import HOME, digests, mini, snakemake, tiny

pytestmark = pytest.mark.slow
ci = pytest.mark.ci


def other_python() -> str | None:
    """A Python of another supported version on this machine, on the path or of pyenv."""
    for minor in (12, 11, 13):
        if sys.version_info.minor != minor:
            name = f"python3.{minor}"
            pyenv = sorted(
                Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/3.{minor}.*/bin/{name}")
            )
            for path in (*map(str, pyenv), shutil.which(name)):
                if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
                    return path
    return None


def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "another place" / "für mich"
    folder.mkdir(parents=True)
    return folder


@ci
def test_one_core_and_another_folder(mini_run, tmp_path):
    folder = elsewhere(tmp_path)
    snakemake(folder, "--cores", "1", config=mini())
    assert digests(folder) == digests(mini_run)


@ci
def test_another_python(mini_run, tmp_path):
    python = other_python()
    if python is None:
        pytest.skip("no second Python of 3.11 to 3.13 on this machine")
    environment = {**os.environ, "UV_PYTHON": python, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    subprocess.run(["uv", "sync", "--locked", "--quiet", "--no-dev"], cwd=HOME, env=environment, check=True)
    folder = tmp_path / "run"
    folder.mkdir()
    snakemake(folder, "--cores", "2", config=mini(), python=str(tmp_path / "venv/bin/python"))
    assert digests(folder) == digests(mini_run)


def test_the_demo_on_one_core(demo_run, tmp_path):
    snakemake(tmp_path, "--cores", "1")
    assert digests(tmp_path) == digests(demo_run)


def test_jobs_in_another_order(tiny_run, tmp_path):
    folder, order = elsewhere(tmp_path), random.Random(6)
    made = [name for name in digests(tiny_run) if not name.startswith("cnv/")]  # a folder is made as a whole
    for target in order.sample(made, 5):
        snakemake(folder, "--cores", "2", "--scheduler", "ilp", "--", f"results/{target}", config=tiny())
    snakemake(folder, "--cores", "2", "--scheduler", "ilp", config=tiny())
    assert digests(folder) == digests(tiny_run)
