"""Why jobs failed: the sentences at the end of a run."""

import shutil
from pathlib import Path
from types import SimpleNamespace

from brainmet.run import failures

ERROR = """
Error in rule {rule}:
    message: {message}
    jobid: 3
    output: results/x
    log: {log} (check log file(s) for error details)
"""
DEATH = "Command 'set -euo pipefail;  python /tmp/.snakemake/scripts/tmpx.{rule}.py' died with <Signals.{signal}: 9>.\n"


def told(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "run.log").write_text(f"rule all:\n{text}\nExiting because a job execution failed.\n")
    return failures.sentences([tmp_path / "run.log"])


def error(rule: str, log: Path | str, message: str = "None") -> str:
    return ERROR.format(rule=rule, log=log, message=message)


def test_a_jobs_own_sentence_is_repeated_with_its_log(tmp_path):
    log = tmp_path / "logs/qc/S1.log"
    log.parent.mkdir(parents=True)
    log.write_text("INFO brainmet.qc: 3 cells\nERROR brainmet: S1.mtx: ends early; fetch it again\n")
    assert told(tmp_path, error("qc", log)) == [f"rule qc, S1: S1.mtx: ends early; fetch it again ({log})"]


def test_a_killed_job_is_said_to_have_run_out_of_memory(tmp_path):
    text = DEATH.format(rule="qc", signal="SIGKILL") + error("qc", "logs/qc/S1.log") + error("embed", "logs/embed.log")
    killed, other = told(tmp_path, text)
    assert killed.startswith("rule qc, S1: killed by the system before it could say why (SIGKILL), most often because")
    assert "--set-resources qc:mem_mb=" in killed
    assert other.startswith("rule embed: failed without a message")


def test_a_signal_of_a_library_may_be_memory_or_a_fault(tmp_path):
    (sentence,) = told(tmp_path, DEATH.format(rule="qc", signal="SIGSEGV") + error("qc", "logs/qc/S1.log"))
    assert sentence.startswith("rule qc, S1: ran out of memory, or a library failed (SIGSEGV); run fewer jobs at a")
    assert "--set-resources qc:mem_mb=" in sentence and sentence.endswith("report it with logs/qc/S1.log")


def test_another_signal_is_named(tmp_path):
    (sentence,) = told(tmp_path, DEATH.format(rule="embed", signal="SIGTERM") + error("embed", "logs/embed.log"))
    assert sentence.startswith("rule embed: ended by SIGTERM; run the same command again")


def test_ctrl_c_is_no_fault(tmp_path):
    (sentence,) = told(tmp_path, DEATH.format(rule="qc", signal="SIGINT") + error("qc", "logs/qc/S1.log"))
    assert sentence == "rule qc, S1: stopped by Ctrl-C; run the same command again: finished results are kept"
    quoted = "Command 'set -euo pipefail;  '/a b/python' '/a b/tmpx.qc.py'' died with <Signals.SIGINT: 2>.\n"
    assert told(tmp_path, quoted + error("qc", "logs/qc/S1.log")) == [sentence], "a folder with a blank is quoted"


def test_what_a_cluster_says_is_put_in_words(tmp_path):
    said = "SLURM-job '12' failed, SLURM status is: '{}'. For further error details see the log"
    memory, time = told(
        tmp_path,
        error("qc", "logs/qc/S1.log", said.format("OUT_OF_MEMORY"))
        + error("qc", "logs/qc/S2.log", said.format("TIMEOUT")),
    )
    assert memory.startswith("rule qc, S1: stopped by the cluster for using more memory than it asked for")
    assert "runtime=MINUTES" in time


def test_a_cluster_without_accounting_says_it_in_its_log(tmp_path):
    cluster_log = tmp_path / "1.log"
    cluster_log.write_text("slurmstepd-vm: error: StepId=1.batch exceeded memory limit (67 > 62), being killed\n")
    (sentence,) = told(tmp_path, error("qc", f"logs/qc/S1.log, {cluster_log}", "SLURM status is: 'FAILED'."))
    assert sentence.startswith("rule qc, S1: stopped by the cluster for using more memory than it asked for")
    cluster_log.write_text(
        "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-25T20:47:08 DUE TO TIME LIMIT ***\n"
    )
    (sentence,) = told(tmp_path, error("qc", f"logs/qc/S1.log, {cluster_log}", "SLURM status is: 'FAILED'."))
    assert sentence.startswith("rule qc, S1: stopped by the cluster at the end of its time; ask for more time")


def test_a_job_that_failed_in_every_attempt_is_told_once(tmp_path):
    assert len(told(tmp_path, error("qc", "logs/qc/S1.log") * 3)) == 1


def test_a_full_disk_that_kept_snakemake_from_starting_a_job_is_named(tmp_path):
    text = "RuleException:\nOSError in file x.smk, line 3:\n[Errno 28] No space left on device\n" + error(
        "qc", "logs/qc/S1.log"
    )
    assert told(tmp_path, text)[0].startswith("rule qc, S1: no space left on the disk; make room and run the same")


def test_a_disk_that_is_full_at_the_end_comes_first_and_no_job_is_blamed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    (tmp_path / "run.log").write_text("")  # as cut short as the jobs' logs
    disk = (
        f"{tmp_path}: its disk is full (4 kB free); make room and run the same command again: finished results are kept"
    )
    assert failures.sentences([tmp_path / "run.log"], written=[tmp_path]) == [disk]
    (tmp_path / "run.log").write_text(error("qc", "logs/qc/S1.log"))
    first, second = failures.sentences([tmp_path / "run.log"], written=[tmp_path])
    assert first == disk and second.startswith("rule qc, S1: failed while nothing could be written; correct that")


def test_a_run_without_failures_or_log_says_nothing(tmp_path):
    assert told(tmp_path, "") == []
    assert failures.sentences([tmp_path / "none.log"]) == []
