"""What a person at a terminal sees of a run: a line or two per job, no pages of file names, and the last words."""

import atexit
import logging
import os
import textwrap
from collections.abc import Sequence
from typing import Any

BOOKKEEPING = ("Select jobs to execute...", "Execute ")
"""How messages begin that tell nothing of the run."""
WIDTH = 150
"""Characters of a reason at most."""
FILES = 3
"""Files that are named one by one: inputs of a failed job, results."""


class Short(logging.Filter):
    """Snakemake's records, shortened; nothing of an error is lost but the list of the job's inputs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown; its reason and its inputs are cut to size."""
        if record.levelno == logging.INFO and str(record.msg).startswith(BOOKKEEPING):
            return False
        if isinstance(reason := getattr(record, "reason", None), str):
            record.reason = textwrap.shorten(reason, WIDTH, placeholder=" …")
        if isinstance(files := getattr(record, "input", None), list) and len(files) > FILES:
            record.input = [*files[:FILES], f"and {len(files) - FILES} more"]
        return True


def where(files: Sequence[str]) -> str:
    """Where to look for what a run was asked for: up to three files, or how many below which folder."""
    paths = sorted(set(map(os.path.abspath, files)))
    if len(paths) <= FILES:
        return ", ".join(paths)
    names = sorted(set(map(os.path.basename, paths)))
    kinds = ", ".join(names) if len(names) <= FILES else f"{', '.join(names[:FILES])} and others"
    return f"{len(paths)} files in {os.path.commonpath(paths)}: {kinds}"


def last_words(*sentences: str) -> None:
    """Print sentences when the program ends: Snakemake adds its own to what `onsuccess` and `onerror` print."""
    atexit.register(print, *(f"brainmet: {sentence}" for sentence in sentences), sep="\n", flush=True)


def asked_for(dag: Any) -> list[str]:
    """Files that a run was asked for: those that were named, and what the named rules make or collect.

    A rule that prints makes none.

    Args:
        dag: Snakemake's graph of jobs.
    """
    of_rules = [job for job in dag.targetjobs if job.rule in dag.targetrules]
    made = [job.output or ([] if job.rule.script else job.input) for job in of_rules]
    return [*dag.targetfiles, *(file for files in made for file in files)]
