"""Running the workflow from a test as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

HOME = Path(__file__).parents[1]


def snakemake(folder: Path, *arguments: str, config: dict | None = None, check: bool = True) -> str:
    """Run the workflow in a folder of its own; returns what it printed."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(config or {}))
    command = [sys.executable, "-m", "snakemake", "-s", str(HOME / "Snakefile"), "-d", str(folder)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "NUMBA_CACHE_DIR": str(HOME / ".cache" / "numba")}
    done = subprocess.run(
        [*command, "--configfile", str(folder / "mine.yaml"), *arguments],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=1200,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    if check:
        assert done.returncode == 0, printed[-6000:]
    else:
        assert done.returncode != 0, printed[-6000:]
        assert "Traceback" not in printed
    return printed


def demo_samples() -> list[str]:
    document = yaml.safe_load((HOME / "resources/datasets/demo.yaml").read_text())
    return [sample["id"] for sample in document["samples"]]


def tiny() -> dict:
    """The configuration of the tiny run."""
    return yaml.safe_load((HOME / "tests/tiny/config.yaml").read_text())
