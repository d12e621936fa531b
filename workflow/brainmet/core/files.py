"""Files that appear whole or not at all, and are said to be damaged where they are."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brainmet.core import damage
from brainmet.errors import BrainmetError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to, renamed to `path` on success and removed on failure.

    What a killed job left under such a name is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Read a file between two stages; one that is damaged ends the job with a sentence.

    Raises:
        BrainmetError: the file cannot be read as what it is.
    """
    try:
        yield
    except damage.RESULTS as error:
        raise BrainmetError(f"{path}: cannot be read as {what} ({error}); delete it and run again") from error
