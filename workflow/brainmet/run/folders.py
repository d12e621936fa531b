"""The folders of a run, looked at before any job: Snakemake itself meets a full or closed disk with a traceback."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from brainmet.errors import BrainmetError

LEAST = 1_000_000
"""Bytes that Snakemake's own notes and logs need."""


def check(folders: Sequence[str | Path]) -> None:
    """See that a run can write.

    Args:
        folders: the working directory and those below it that jobs write to; missing ones are made later.

    Raises:
        BrainmetError: one of them cannot be written, or its disk is full.
    """
    for folder in (Path(folder).absolute() for folder in folders if Path(folder).exists()):
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            remedy = "make the folder writable, or work in another one with -d FOLDER"
            raise BrainmetError(f"{folder}: cannot be written; {remedy}")
        if (free := shutil.disk_usage(folder).free) < LEAST:
            remedy = "make room and run the same command again: finished results are kept"
            raise BrainmetError(f"{folder}: its disk is full ({free // 1000} kB free); {remedy}")


def to_fill(paths: Iterable[str | Path]) -> list[Path]:
    """Folders that a run has to write to for the files that are missing: of each file the nearest one that exists.

    Where all files are in place, as in downloads that others share, nothing needs to be written.
    """
    missing = (Path(path).absolute() for path in paths if not Path(path).exists())
    return sorted({next(parent for parent in path.parents if parent.exists()) for path in missing})
