"""What every script does first: a log, one BLAS thread, and errors a person can read."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from brainmet.errors import BrainmetError


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a script's body as a job: yields the rule's params.

    Log lines go to the rule's log file. BLAS gets one thread, so that results do not depend on the number of
    cores; parallelism comes from jobs. A `BrainmetError` ends the job with its sentence on stderr and in the log,
    exit status 1.
    """
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, mode="w")
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(levelname)s %(name)s: %(message)s", force=True
    )
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    try:
        with threadpool_limits(1):
            yield dict(snakemake.params.items())
    except BrainmetError as error:
        sentence = _sentence(snakemake, error)
        logging.getLogger("brainmet").error(sentence)
        print(f"brainmet: {sentence}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        logging.getLogger("brainmet").exception("job failed")
        raise


def _sentence(snakemake: Any, error: BrainmetError) -> str:
    """The error's sentence, and for a sample's job how to go on without the sample."""
    sample = getattr(snakemake.wildcards, "sample", None)
    if sample is None:
        return str(error)
    return f"sample {sample}: {error}. To go on without this sample, add it to your config: exclude: [{sample}]"
