"""A sample more: what a finished run does again, by the list of its jobs."""

import re
from pathlib import Path

import yaml

from tests.running import snakemake

SAMPLES = 40
"""Samples of the finished run, whose outputs are made up: nothing is computed here."""
ONCE = ("ingest", "qc", "evidence", "score")
"""Steps of a sample that know nothing of the others: nine tenths of the work."""
AGAIN = ("slice", "pseudobulk")
"""Steps of a sample that follow the cohort: its variable genes, its annotation."""


def write_dataset(folder: Path, samples: int) -> None:
    names = [f"s{i:03d}" for i in range(samples)]
    for name in names:
        if not (path := folder / f"{name}.h5ad").exists():
            path.touch()
    document = {
        "schema": 1, "id": "many", "title": "Many samples", "citation": {}, "organism": "human",
        "technology": "10x_3prime", "suspension": "cell", "values": "counts", "layout": "h5ad", "evidence": "A",
        "files": [{"name": f"{name}.h5ad", "path": f"{name}.h5ad"} for name in names],
        "samples": [{"id": name, "match": name, "donor": name, "condition": "primary"} for name in names],
    }  # fmt: skip
    (folder / "many.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def jobs(printed: str) -> dict[str, int]:
    """Jobs by rule in what a dry run prints."""
    table = printed.split("Job stats:")[-1].split("total")[0]
    return {name: int(n) for name, n in re.findall(r"^(\w+)\s+(\d+)$", table, re.M)}


def test_one_sample_more_recomputes_that_sample_and_the_cohort(tmp_path):
    mine = {"datasets": ["many"], "dataset_paths": [str(tmp_path)]}
    write_dataset(tmp_path, SAMPLES)
    every = snakemake(tmp_path, "--dry-run", "--cores", "1", config=mine)
    assert jobs(every)["ingest"] == SAMPLES
    for line in re.findall(r"^\s+output: (.*)$", every, re.M):
        for name in line.split(", "):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    finished = snakemake(tmp_path, "--dry-run", "--cores", "1", config=mine)
    assert "Nothing to be done" in finished

    write_dataset(tmp_path, SAMPLES + 1)
    found = jobs(snakemake(tmp_path, "--dry-run", "--cores", "1", config=mine))
    assert {rule: found[rule] for rule in ONCE} == dict.fromkeys(ONCE, 1)
    assert {rule: found[rule] for rule in AGAIN} == dict.fromkeys(AGAIN, SAMPLES + 1)
    others = {rule: n for rule, n in found.items() if rule not in (*ONCE, *AGAIN, "annotate_method")}
    assert set(others.values()) == {1}, others
