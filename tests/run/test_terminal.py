"""Records of a run as a person at a terminal sees them."""

import logging
from pathlib import Path
from types import SimpleNamespace

from brainmet.run.terminal import Short, asked_for, where


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


def test_what_was_asked_for_are_files_and_what_named_rules_make_or_collect():
    def job(rule: SimpleNamespace, made: list[str], read: list[str]) -> SimpleNamespace:
        return SimpleNamespace(rule=rule, output=made, input=read)

    makes, collects, prints, other = (SimpleNamespace(script=script) for script in ("a.py", None, "b.py", "c.py"))
    jobs = [job(makes, ["t.tsv"], ["x"]), job(collects, [], ["a", "b"]), job(prints, [], ["y"]), job(other, ["z"], [])]
    dag = SimpleNamespace(targetfiles=["named"], targetjobs=jobs, targetrules=[makes, collects, prints])
    assert asked_for(dag) == ["named", "t.tsv", "a", "b"]
