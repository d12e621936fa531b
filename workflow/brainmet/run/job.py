"""What every script does first: a log, one BLAS thread, and errors a person can read."""

import ctypes
import gc
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from brainmet.errors import BrainmetError
from brainmet.run import machine_faults

ONE_BLAS_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""For libraries that are loaded later than `threadpool_limits` looks: Snakemake sets these to the rule's threads."""


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
        _stop(machine_faults.misread(error, snakemake) or _sentence(snakemake, error))
    except Exception as error:
        if fault := machine_faults.explain(error, snakemake):
            _stop(fault)
        logging.getLogger("brainmet").exception("job failed")
        raise
    except KeyboardInterrupt:  # Ctrl-C: temporary files are gone by now; end as any program does, in silence
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _stop(sentence: str) -> None:
    logging.getLogger("brainmet").error(sentence)
    sys.stderr.write(f"brainmet: {sentence}\n")  # in one piece: other jobs write at the same time
    sys.exit(1)


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
