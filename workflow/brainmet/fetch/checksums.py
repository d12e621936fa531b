"""What the files of a dataset hold: checksums of the first download, which later ones and every sample are held to."""

import fcntl
import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from brainmet.core.files import replacing
from brainmet.errors import BrainmetError
from brainmet.fetch.archive import PATTERN

log = logging.getLogger(__name__)
CHECKSUMS = "checksums.tsv"
ALONE = "let one run at a time fetch here, one file after the other: --resources downloads=1"
LARGE = 1 << 24
"""Bytes from which on a checksum is kept: that of a smaller file is taken as fast as it is looked up."""


class Checksum(NamedTuple):
    """One line of `checksums.tsv`."""

    file: str
    size: int
    sha256: str
    source: str


def verify(source: Mapping[str, Any], path: Path, *, stamps: Path) -> str:
    """See that a raw file still holds the bytes that its dataset file states or that its first download brought.

    Args:
        source: its `files` entry of the dataset file.
        path: the file.
        stamps: folder for checksums that are taken once, see `stamped_sha256`.

    Returns:
        Its SHA-256.

    Raises:
        BrainmetError: it was edited or replaced since.
    """
    first = None if "path" in source else read_checksums(path.parent).get(path.name)
    expected = str(source.get("sha256") or (first.sha256 if first else "")).lower()
    if (digest := stamped_sha256(path, stamps)) == expected or not expected:
        return digest
    if source.get("sha256"):
        origin, remedy = "the dataset file says", "if the new bytes are right, put their sha256 into the dataset file"
    else:
        origin = "its first download had"
        remedy = f"delete it to have it fetched again, or accept it by deleting its line from {path.parent / CHECKSUMS}"
    raise BrainmetError(
        f"{path}: the file was edited or replaced: sha256 is {digest[:12]}…, {origin} {expected[:12]}…; {remedy}"
    )


def stamped_sha256(path: Path, stamps: Path) -> str:
    """Hexadecimal SHA-256 of a file, taken once for all jobs that read the file.

    The job of every sample asks for the checksum of the archive that its series shares. It is kept with the file's size
    and times, and is taken anew where these have changed. One of the times is that of the last change of the inode,
    which the system sets: a file that was replaced by one of the same size and an older time shows it. Where the folder
    cannot be written to, each job takes the checksum for itself.

    Args:
        path: the file.
        stamps: folder where checksums are kept.
    """
    if path.stat().st_size < LARGE:
        return sha256(path)
    stamp = stamps / hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    try:
        with locked(stamp, waits=f"another job takes the checksum of {path}", alone=""):
            return _kept_sha256(path, stamp)
    except OSError as error:  # It is kept to save time alone, which no job should fail for.
        log.info("%s: its checksum is not kept for other jobs (%s)", path, error)
        return sha256(path)


def _kept_sha256(path: Path, stamp: Path) -> str:
    """The checksum that a stamp holds for the file as it is now, or else a new one, which the stamp then holds."""
    state = _state(path)
    noted, _, digest = stamp.read_text().partition("\t") if stamp.is_file() else ("", "", "")
    if noted != state:
        digest = sha256(path)
        if _state(path) == state:  # A file that changes while it is read has no checksum to keep.
            with replacing(stamp) as partial:
                partial.write_text(f"{state}\t{digest}")
    return digest


def _state(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checksums(folder: Path) -> dict[str, Checksum]:
    """What `checksums.tsv` of a dataset's download folder holds, by file name."""
    path = folder / CHECKSUMS
    if not path.exists():
        return {}
    result = {}
    for number, line in enumerate(path.read_text().splitlines()[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(Checksum._fields) or not cells[1].isdigit():
            raise BrainmetError(f"{path}: line {number} is not {', '.join(Checksum._fields)}; delete it and run again")
        result[cells[0]] = Checksum(cells[0], int(cells[1]), cells[2], cells[3])
    return result


def note_checksum(part: Path, target: Path, origin: str, *, digest: str = "") -> None:
    """Note the bytes of `part` under the name of `target`; safe beside other jobs of the dataset.

    Args:
        part: the bytes.
        target: the name they get.
        origin: the address they come from.
        digest: their SHA-256 where it is known already.
    """
    entry = Checksum(target.name, part.stat().st_size, digest or sha256(part), origin)
    with locked(target.parent / CHECKSUMS), replacing(target.parent / CHECKSUMS) as partial:
        entries = read_checksums(target.parent) | {target.name: entry}
        lines = ["\t".join(Checksum._fields), *("\t".join(map(str, entries[name])) for name in sorted(entries))]
        partial.write_text("\n".join(lines) + "\n")
    log.info("%s: %d bytes, sha256 %s", target, entry.size, entry.sha256)


def pinned(dataset: str, files: Mapping[str, Mapping[str, Any]], folder: Path) -> str:
    """The `files:` entry of a dataset file with the checksums of what was downloaded, to be committed.

    Args:
        dataset: its id.
        files: file name → `files` entry.
        folder: where the files are.
    """
    lines = [f"# {dataset}", "files:"]
    for name, source in files.items():
        path = folder / name
        entry = {"name": name} | {key: source[key] for key in ("url", "package") if source.get(key)}
        if PATTERN in str(source.get("url")) and (first := read_checksums(folder).get(name)):
            entry["url"] = first.source
        entry |= {"size": str(path.stat().st_size), "sha256": sha256(path)}
        quoted = (f'{key}: "{value}"' if key == "url" else f"{key}: {value}" for key, value in entry.items())
        lines.append("  - {" + ", ".join(quoted) + "}")
    return "\n".join(lines) + "\n"


@contextmanager
def locked(path: Path, *, waits: str = "", alone: str = ALONE) -> Iterator[None]:
    """Hold `path` for this job alone, among those of all runs that share its folder.

    Args:
        path: what is held, there or not.
        waits: what is said where another job holds it.
        alone: what is to be done on a file system without locks; empty where nothing is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s; this one waits for it", waits or f"{path.parent}: another job fetches {path.name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if alone:
                log.warning("%s: this file system has no locks (%s): %s", path.parent, error, alone)
        yield
