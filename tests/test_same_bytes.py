"""The same bytes for any number of cores, any order of jobs and any working directory."""

import hashlib
from pathlib import Path

import pytest

from tests.running import snakemake, tiny

pytestmark = pytest.mark.slow


def digests(folder: Path) -> dict[str, str]:
    """Checksums of what the promise covers."""
    results = folder / "results"
    paths = [
        *results.glob("tables/*.tsv"),
        *results.glob("cohort/annotation.parquet"),
        *results.glob("samples/*/scores*.parquet"),
    ]
    return {str(p.relative_to(results)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(paths)}


@pytest.mark.parametrize("arguments", [["--cores", "1"], ["--cores", "2", "--scheduler", "greedy"]])
def test_cores_and_order_change_nothing(tiny_run, tmp_path, arguments):
    folder = tmp_path / "another" / "place"
    folder.mkdir(parents=True)
    snakemake(folder, *arguments, config=tiny())
    assert digests(folder) == digests(tiny_run)
