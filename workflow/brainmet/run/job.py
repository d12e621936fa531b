"""What every script does first: a log, one BLAS thread, and errors a person can read."""

import ctypes
import errno
import gc
import logging
import os
import re
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

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

ONE_BLAS_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1")
"""For libraries that are loaded later than `threadpool_limits` looks: Snakemake sets these to the rule's threads."""

OWN_CACHE = Path(".cache/numba")
"""Compiled kernels, in the working directory, unless NUMBA_CACHE_DIR names another folder."""


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a script's body as a job: yields the rule's params.

    Log lines go to the rule's log file. BLAS gets one thread, so that results do not depend on the number of
    cores; parallelism comes from jobs. A `BrainmetError` ends the job with its sentence on stderr and in the log,
    exit status 1; so do a full disk, a folder that cannot be written, too little memory and a damaged cache.
    """
    _end_with_parent()
    try:
        _start_log(Path(snakemake.log[0]))
        os.environ.update(ONE_BLAS_THREAD)
        with threadpool_limits(1):
            yield dict(snakemake.params.items())
        gc.freeze()  # memory goes with the process: to look through it for garbage first costs a tenth of a second
    except BrainmetError as error:
        _stop(_behind(error, snakemake) or _sentence(snakemake, error))
    except Exception as error:
        if told := circumstance(error, snakemake):
            _stop(told)
        logging.getLogger("brainmet").exception("job failed")
        raise
    except KeyboardInterrupt:  # Ctrl-C: temporary files are gone by now; end as any program does, in silence
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _stop(sentence: str) -> None:
    logging.getLogger("brainmet").error(sentence)
    sys.stderr.write(f"brainmet: {sentence}\n")  # in one piece: other jobs write at the same time
    sys.exit(1)


def _behind(error: BrainmetError, snakemake: Any) -> str:
    """What a reader took for a fault of its file although the file is whole and nobody should delete it; or empty."""
    if isinstance(error.__cause__, MemoryError) or NO_MEMORY.search(f"{error} {error.__cause__}"):
        return _out_of(snakemake, "memory", "ulimit -v")
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in (*FULL, *CLOSED):
        return circumstance(error.__cause__, snakemake)
    return _damaged_cache() if error.__cause__ and _in_kernel_cache(error.__cause__) else ""


def circumstance(error: BaseException | None, snakemake: Any) -> str:
    """One sentence for what the machine denied the job: space, a writable folder, memory, a whole cache; or empty."""
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
    asked = f", which asks for {given} MB" if isinstance(given, int) else ""
    who = "".join(f" of {name} {value}" for name, value in snakemake.wildcards.items())
    return (
        f"out of {what} in rule {snakemake.rule}{who}{asked}; lift the limit ({limit}) or run fewer jobs at a time "
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
    found = NUMBERED.search(str(error))
    return int(found[1]) if found else 0


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


def _start_log(log: Path) -> None:
    logging.raiseExceptions = False  # on a full disk the log cannot be written either; the sentence is on stderr
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, mode="w")
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(levelname)s %(name)s: %(message)s", force=True
    )
    for library in ("faiss", "matplotlib"):  # which build they load, and which fonts, is of no use to a reader
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


def _end_with_parent() -> None:
    """End when Snakemake is killed: a job that outlives it would write beside the jobs of the next run."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _sentence(snakemake: Any, error: BrainmetError) -> str:
    """The error's sentence, and for a sample's job how to go on without the sample."""
    sample = getattr(snakemake.wildcards, "sample", None)
    if sample is None:
        return str(error)
    from brainmet.core.documents import written

    remedy = f"To go on without this sample, add it to your config: exclude: [{written(sample)}]"
    return f"sample {sample}: {error}. {remedy}"
