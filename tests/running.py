"""Running the workflow from a test as a user runs it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import h5py
import numpy as np
import yaml
from brainmet import contract

HOME = Path(__file__).parents[1]


def command(folder: Path, *arguments: str, config: dict | None = None, python: str = sys.executable) -> list[str]:
    """The command line of a run in a folder of its own; writes the configuration there."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(config or {}))
    start = [python, "-m", "snakemake", "-s", str(HOME / "Snakefile"), "-d", str(folder)]
    return [*start, "--configfile", str(folder / "mine.yaml"), *arguments]


def environment() -> dict[str, str]:
    """The environment of a run: compiled kernels are shared between the tests of one checkout."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "NUMBA_CACHE_DIR": str(HOME / ".cache" / "numba")}


def begin(
    folder: Path, *arguments: str, config: dict | None = None, python: str = sys.executable
) -> subprocess.Popen[str]:
    """Begin a run of the workflow in a folder of its own; what it prints is read from `stdout`."""
    return subprocess.Popen(
        command(folder, *arguments, config=config, python=python),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment(),
    )  # fmt: skip


def children(pid: int) -> list[int]:
    """Process ids of the direct children that have not ended; an ended one is listed until its parent asks for it."""
    listed = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return [child for child in listed if not ended(child)]


def ended(pid: int) -> bool:
    """Whether a process is gone or has ended: it has no command line any more."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


def snakemake(
    folder: Path, *arguments: str, config: dict | None = None, check: bool = True, python: str = sys.executable
) -> str:
    """Run the workflow in a folder of its own; returns what it printed."""
    done = subprocess.run(
        command(folder, *arguments, config=config, python=python),
        capture_output=True, text=True, cwd=folder, env=environment(), timeout=3600,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    if check:
        assert done.returncode == 0, printed[-6000:]
    else:
        assert done.returncode != 0, printed[-6000:]
        assert "Traceback" not in printed
    return printed


def digests(folder: Path) -> dict[str, str]:
    """Checksums of all results but those that tell of the run itself: the page, the crate and the provenance.

    Of HDF5 files those of the content: ISA-L, which packs them, may pack equal chunks to other bytes.
    """
    results = folder / "results"
    paths = {path.relative_to(results).as_posix(): path for path in sorted(results.rglob("*")) if path.is_file()}
    of_the_run = ("report.html", "ro-crate-metadata.json", "provenance/")
    return {
        name: _content(path) if path.suffix == ".h5ad" else hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in paths.items()
        if not name.startswith(of_the_run)
    }


def _content(path: Path) -> str:
    """Checksum of all names, attributes and values of an HDF5 file."""
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(f"{name} {sorted((key, str(value)) for key, value in item.attrs.items())}".encode())
        if isinstance(item, h5py.Dataset):
            values = np.asarray(item[()])
            digest.update(f"{values.dtype} {values.shape}".encode())
            digest.update(repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes())

    with h5py.File(path) as file:
        file.visititems(add)
    return digest.hexdigest()


def tiny() -> dict:
    """The configuration of the tiny run."""
    return yaml.safe_load((HOME / "tests/tiny/config.yaml").read_text())


def mini() -> dict:
    """The configuration of the mini run: two samples through every stage, for the tests that run it many times."""
    return yaml.safe_load((HOME / "tests/mini/config.yaml").read_text())


def real() -> dict:
    """The configuration of a run on real cells: a breast tumour with its stroma, and normal brain."""
    return yaml.safe_load((HOME / "tests/real/config.yaml").read_text()) | {"dataset_paths": [str(HOME / "tests/real")]}


def unlisted(**slots: Iterable[str]) -> list[tuple[str, str]]:
    """Keys by slot (`obs`, `var`, `uns`) that the contract does not list."""
    listed = [(key.slot, key.name) for key in contract.COUNTS_KEYS]
    return [
        (slot, name)
        for slot, names in slots.items()
        for name in names
        if not any(slot == known and fnmatch(name, pattern) for known, pattern in listed)
    ]
