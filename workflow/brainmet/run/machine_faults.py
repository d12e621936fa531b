"""What the machine denied a job, in one sentence: space, a writable folder, memory, a whole cache, a library."""

import errno
import os
import re
import shutil
from pathlib import Path
from typing import Any

from brainmet.errors import BrainmetError

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
NUMBERED = re.compile(r"errno[ =:]*(\d+)", re.IGNORECASE)
"""Libraries that write by themselves (HDF5, Arrow) put the system's error number into their message."""

NO_MEMORY = re.compile(
    r"bad_alloc|cannot allocate memory|memory allocation failed|failed to map segment", re.IGNORECASE
)
"""What libraries and the loader say when memory is short."""

NO_THREAD = re.compile(r"can't start new thread")
"""What Python says when memory is short, or the number of processes and threads is at its limit."""

NO_OPENMP = re.compile(r"Library not loaded: \S*libomp\.dylib")
"""What macOS' loader says where Homebrew's OpenMP, which xgboost's wheel links to, is not installed."""

OWN_CACHE = Path(".cache/numba")
"""Compiled kernels, in the working directory, unless NUMBA_CACHE_DIR names another folder."""


def misread(error: BrainmetError, snakemake: Any) -> str:
    """What a reader took for a fault of its file although the file is whole and nobody should delete it; or empty."""
    if isinstance(error.__cause__, MemoryError) or NO_MEMORY.search(f"{error} {error.__cause__}"):
        return _out_of(snakemake, "memory", "ulimit -v")
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in (*FULL, *CLOSED):
        return explain(error.__cause__, snakemake)
    return _damaged_cache() if error.__cause__ and _in_kernel_cache(error.__cause__) else ""


def explain(error: BaseException | None, snakemake: Any) -> str:
    """One sentence for what the machine denied the job (see the module), or empty."""
    output = str(next(iter(snakemake.output), snakemake.log[0]))
    while error is not None:
        code, place = _errno(error), str(getattr(error, "filename", None) or output)
        if code in FULL:
            return (
                f"{place}: no space left on the disk ({_free(place)} MB free) in rule {snakemake.rule}; "
                "make room and run the same command again: finished results are kept"
            )
        if code in CLOSED and _unreadable(place):
            return (
                f"{place}: cannot be read ({os.strerror(code)}) in rule {snakemake.rule}; get the right to read it, "
                "or name another copy"
            )
        if code in CLOSED:
            return (
                f"{place}: cannot be written ({os.strerror(code)}) in rule {snakemake.rule}; "
                "make the folder writable, or work in another one with -d FOLDER"
            )
        if NO_THREAD.search(str(error)):
            return _out_of(snakemake, "memory, or of processes and threads", "ulimit -v, ulimit -u")
        if code == errno.ENOMEM or isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
            return _out_of(snakemake, "memory", "ulimit -v")
        if NO_OPENMP.search(str(error)):
            return (
                f"XGBoost finds no OpenMP in rule {snakemake.rule}; install it (brew install libomp) "
                "and run the same command again: finished results are kept"
            )
        if _in_kernel_cache(error):
            return _damaged_cache()
        error = error.__cause__ or error.__context__
    return ""


def _unreadable(place: str) -> bool:
    """Whether a place that was denied is a file of others to read, rather than one to write."""
    if os.access(place, os.F_OK):
        return not os.access(place, os.R_OK)
    return not os.access(Path(place).parent, os.X_OK)


def _out_of(snakemake: Any, what: str, limit: str) -> str:
    given = getattr(snakemake.resources, "mem_mb", None)
    more = f"--set-resources {snakemake.rule}:mem_mb={2 * given}" if isinstance(given, int) else "more memory"
    request = f", which asks for {given} MB" if isinstance(given, int) else ""
    who = "".join(f" of {name} {value}" for name, value in snakemake.wildcards.items())
    return (
        f"out of {what} in rule {snakemake.rule}{who}{request}; lift the limit ({limit}) or run fewer jobs at a time "
        f"(--cores 1), on a cluster ask for more ({more}), and run the same command again: finished results are kept"
    )


def _damaged_cache() -> str:
    """Delete the workflow's own cache; one that the user named may hold other programs' kernels and stays."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR", OWN_CACHE))
    if folder.resolve() != OWN_CACHE.resolve():
        return (
            f"{folder} (NUMBA_CACHE_DIR): the cache of compiled kernels is damaged; delete it, or unset the variable, "
            "and run the same command again"
        )
    shutil.rmtree(folder, ignore_errors=True)
    return (
        f"{folder}: the cache of compiled kernels was damaged and is deleted now; run the same command again, "
        "it will be made anew"
    )


def _errno(error: BaseException) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    number = NUMBERED.search(str(error))
    return int(number[1]) if number else 0


def _free(path: str) -> int:
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // 1_000_000


def _in_kernel_cache(error: BaseException) -> bool:
    frame, files = error.__traceback__, []
    while frame is not None:
        files.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    return any(file.endswith("numba/core/caching.py") for file in files)
