"""Why jobs failed, for the end of a run: one sentence per job, from Snakemake's log and the jobs' own logs.

A job that can still speak says why itself (`brainmet.run.job`). One that was killed cannot: its sentence is made here.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from brainmet.errors import BrainmetError
from brainmet.run import folders

ERROR = re.compile(r"^Error in (?:rule|group) (?P<rule>[\w-]+):\n(?P<body>(?:[ \t]+.*\n?)*)", re.MULTILINE)
OWN = re.compile(r"^ERROR brainmet: (.+)$", re.MULTILINE)
SIGNAL = re.compile(r"\.(?P<rule>\w+)\.py'+ died with <Signals\.(?P<signal>\w+)")
STATUS = re.compile(r"status is: '?(\w+)")
LOGS = re.compile(r"^\s+log: (.+?)(?: \(check .*)?$", re.MULTILINE)
MEMORY = re.compile(r"exceeded (?:job )?memory limit|oom[-_ ]kill|out[ _]of[ _]memory handler", re.IGNORECASE)
TIME = re.compile(r"CANCELLED AT \S+ DUE TO TIME LIMIT")
"""What Slurm writes into a job's cluster log; its status says less where there is no accounting."""
FULL = re.compile(r"\[Errno (?:28|122)\]")
"""What Snakemake repeats of the system where a full disk, or a spent quota, kept it from starting a job."""


def sentences(logs: Sequence[str | Path], *, written: Sequence[str | Path] = ()) -> list[str]:
    """One sentence for every job that failed in a run: rule, sample, cause, and the log or the remedy.

    Args:
        logs: Snakemake's log files of the run; paths of job logs in them are relative to the working directory.
        written: the folders that the run writes to. On a full disk neither Snakemake nor the jobs can note why they
            failed: one sentence on the disk then comes first.
    """
    text, end, found = "\n".join(map(_read, logs)), 0, {}
    closed = _closed(written)
    for error in ERROR.finditer(text):
        before, end = text[end : error.start()], error.end()
        job_log, *cluster_logs = (LOGS.search(error["body"]) or ["", ""])[1].split(", ")
        context = "\n".join([before, *map(_read, cluster_logs)])
        found[error["rule"], job_log] = _sentence(error["rule"], job_log, context, error["body"], closed=bool(closed))
    return [*closed, *found.values()]


def _closed(written: Sequence[str | Path]) -> list[str]:
    """What keeps the run from writing at its end: one sentence, or none."""
    try:
        folders.check(written)
    except BrainmetError as error:
        return [str(error)]
    return []


def _sentence(rule: str, job_log: str, context: str, body: str, *, closed: bool) -> str:
    """Args: rule, its log, what was said before the error, its own lines, whether nothing can be written."""
    errors, what = OWN.findall(_read(job_log)), _named(rule, job_log)
    status = (STATUS.search(body) or ["", ""])[1]
    killed = [match["signal"] for match in SIGNAL.finditer(context) if match["rule"] == rule]
    if status == "OUT_OF_MEMORY" or (status and MEMORY.search(context)):
        return f"{what}: stopped by the cluster for using more memory than it asked for; {_more(rule)}"
    if status == "TIMEOUT" or (status and TIME.search(context)):
        longer = f"ask for more time with --set-resources {rule}:runtime=MINUTES; finished results are kept"
        return f"{what}: stopped by the cluster at the end of its time; {longer}"
    if status in ("CANCELLED", "PREEMPTED", "NODE_FAIL"):
        return f"{what}: ended by the cluster ({status}); run the same command again"
    fewer = f"run fewer jobs at a time (--cores 1); {_more(rule)}"
    if killed and killed[-1] == "SIGKILL":
        return (
            f"{what}: killed by the system before it could say why ({killed[-1]}), most often because memory ran out; "
            + fewer
        )
    if killed and killed[-1] in ("SIGSEGV", "SIGABRT", "SIGBUS"):
        return (
            f"{what}: ran out of memory, or a library failed ({killed[-1]}); {fewer}; "
            f"if it comes back with memory to spare, report it with {job_log}"
        )
    if killed and killed[-1] == "SIGINT":
        return f"{what}: stopped by Ctrl-C; run the same command again: finished results are kept"
    if killed:
        return f"{what}: ended by {killed[-1]}; run the same command again, and report it if it comes back ({job_log})"
    if errors:
        return f"{what}: {errors[-1]} ({job_log})"
    if FULL.search(context):
        return f"{what}: no space left on the disk; make room and run the same command again: finished results are kept"
    if closed:
        return f"{what}: failed while nothing could be written; correct that and run the same command again"
    return f"{what}: failed without a message, which is a fault of the workflow; please report {job_log}"


def _more(rule: str) -> str:
    return f"on a cluster ask for more with --set-resources {rule}:mem_mb=MEGABYTES; finished results are kept"


def _named(rule: str, job_log: str) -> str:
    """Rule and, from its log `logs/{rule}/{sample}.log`, the sample."""
    path = Path(job_log)
    return f"rule {rule}, {path.stem}" if path.parent.name == rule else f"rule {rule}"


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
