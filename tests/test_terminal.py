"""Records of a run as a person at a terminal sees them."""

import logging
from pathlib import Path

from brainmet.terminal import Short, where


def record(message: str, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    made.__dict__.update(extra)
    return made


def test_bookkeeping_is_left_out_and_errors_never():
    assert not Short().filter(record("Select jobs to execute..."))
    assert not Short().filter(record("Execute 12 jobs..."))
    assert Short().filter(record("Execute 12 jobs...", logging.ERROR))
    assert Short().filter(record("Finished jobid: 3 (Rule: qc)"))


def test_long_reasons_and_lists_of_inputs_are_cut():
    said = record("Job 1", reason="Missing output files: " + ", ".join(["a/b.tsv"] * 90), input=[*"abcdef"])
    assert Short().filter(said)
    assert said.reason.startswith("Missing output files: a/b.tsv") and said.reason.endswith(" …")
    assert len(said.reason) <= 150 and said.input == ["a", "b", "c", "and 3 more"]
    short = record("Job 1", reason="Code has changed", input=["a"])
    assert Short().filter(short) and short.reason == "Code has changed" and short.input == ["a"]


def test_a_run_ends_with_where_to_look():
    here = Path.cwd()
    assert where(["b.h5", "a.tsv", "b.h5"]) == f"{here}/a.tsv, {here}/b.h5"
    parts = [f"results/samples/{s}/{name}" for s in "xy" for name in ("a.parquet", "b.parquet")]
    assert where(parts) == f"4 files in {here}/results/samples: a.parquet, b.parquet"
    assert where([f"t/{k}.tsv" for k in "abcde"]) == f"5 files in {here}/t: a.tsv, b.tsv, c.tsv and others"
