"""Files of a dataset: found, downloaded, verified, and held to the bytes of the first download.

A file comes from its address, from a mirror laid out like the archive, or from an installed package. It appears under
its name whole and verified or not at all. `checksums.tsv` beside the files records what the first download brought.
"""

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainmet.errors import BrainmetError
from brainmet.fetch.archive import Archive, Patience, archive_url, copy, fits, held
from brainmet.fetch.checksums import CHECKSUMS, locked, note_checksum, read_checksums, sha256

log = logging.getLogger(__name__)
MAGIC = {
    ".gz": (0, b"\x1f\x8b"),
    ".h5": (0, b"\x89HDF"),
    ".h5ad": (0, b"\x89HDF"),
    ".xlsx": (0, b"PK"),
    ".tar": (257, b"ustar"),
}
"""Where the bytes that betray a format stand: an error page saved under a data file's name fails here."""


def fetch(source: Mapping[str, Any], target: Path, archive: Archive, patience: Patience, *, missing: str = "") -> None:
    """Bring one file of a dataset to `target`.

    Args:
        source: a `files` entry of a dataset file: `url` or `package`, and optionally `sha256` and `size` (bytes). A `*`
            in the last part of `url` stands for what was not known of the name: the one file of its folder that fits.
        target: `downloads/{dataset}/{file}`.
        archive: where published files come from.
        patience: when a download gives up.
        missing: every missing file of the run, for the sentence where `offline` forbids a download.

    Raises:
        BrainmetError: the file cannot be had, or is not the file it should be.
    """
    origin = archive_url(str(source["url"])) if source.get("url") else f"package {source['package']}"
    if _is_there(source, origin, target):
        log.info("%s is there and unchanged", target)
        return
    with locked(target):
        # Another run that shares the folder may have brought it meanwhile.
        if not _is_there(source, origin, target):
            _fetch(source, origin, target, archive, patience, missing=missing)


def package_file(resource: str) -> Path:
    """The data file `NAME` of the installed package `package` in `"package:NAME"`, found without importing it."""
    package, _, name = resource.partition(":")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BrainmetError(f"package {resource}: {package} is not installed; add it to the environment")
    root = Path(spec.submodule_search_locations[0])
    files = (path for path in root.rglob(f"{name}*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    matching = sorted(path for path in files if name in (path.name, path.stem))
    if len(matching) != 1:
        several = ", ".join(str(path.relative_to(root)) for path in matching)
        what = f"has several: {several}" if matching else "has no data file of that name"
        raise BrainmetError(f"package {resource}: {package} {what}; name one file, with its suffix")
    return matching[0]


def missing_offline(files: Mapping[str, Mapping[str, Any]], archive: Archive) -> list[str]:
    """Paths of `files` (path → source) that are neither in place nor in the mirror folder: what offline lacks."""
    wanted = [path for path, source in files.items() if source.get("url") and not Path(path).exists()]
    if not (folder := archive.folder):
        return wanted
    return [path for path in wanted if not held(folder, archive_url(str(files[path]["url"])), Path(path))]


def _fetch(
    source: Mapping[str, Any], origin: str, target: Path, archive: Archive, patience: Patience, *, missing: str
) -> None:
    """Bring the bytes beside `target`, verify and record them, and give them their name."""
    from brainmet.fetch.download import discard

    part = target.with_name(target.name + ".part")
    for last in (False, True):
        if source.get("package"):
            copy(package_file(str(source["package"])), part)
        else:
            origin = archive.fill(part, origin, target, patience, missing=missing)
        problem, digest = _problem(part, source, origin, target)
        if not problem:
            break
        discard(part)
        if last:
            raise BrainmetError(problem)
        log.warning("%s; once more, in case it was the transfer", problem)
    note_checksum(part, target, origin, digest=digest)
    part.replace(target)
    discard(part)  # its note, kept until now: whoever is stopped while verifying has nothing to download again


def _is_there(source: Mapping[str, Any], origin: str, target: Path) -> bool:
    """Whether the file is in place with the right bytes; a file that a person put there is taken over and recorded."""
    if not target.exists() or source.get("package"):
        return False
    problem, digest = _problem(target, source, origin, target)
    if problem:
        log.warning("%s; fetching it again", problem)
        return False
    if target.name not in read_checksums(target.parent):
        note_checksum(target, target, origin, digest=digest)
    return True


def _problem(path: Path, source: Mapping[str, Any], origin: str, target: Path) -> tuple[str, str]:
    """Why the bytes at `path` are not the file they should be, empty when they are; and their SHA-256 where it took
    one to tell.
    """
    size = path.stat().st_size
    if source.get("size") and size != source["size"]:
        return f"{origin}: {size} bytes instead of the {source['size']} of the dataset file; check its size and url", ""
    first, digest = read_checksums(target.parent).get(target.name), ""
    if source.get("sha256"):
        if (digest := sha256(path)) != str(source["sha256"]).lower():
            return (
                f"{origin}: sha256 is {digest}, the dataset file says {source['sha256']}: the published file has "
                "changed, or was altered on the way; if the new file is right, put its sha256 into the dataset file"
            ), digest
    elif first and fits(first.source, origin) and (digest := sha256(path)) != first.sha256:
        return (
            f"{origin}: the published file has changed since its first download (sha256 {first.sha256[:12]}…, "
            f"now {digest[:12]}…); to accept the new one, delete the line of {target.name} from "
            f"{target.parent / CHECKSUMS}"
        ), digest
    return _wrong_format(path, target.name, origin), digest


def _wrong_format(path: Path, name: str, origin: str) -> str:
    offset, magic = MAGIC.get(Path(name).suffix, (0, b""))
    with path.open("rb") as file:
        head = file.read(offset + len(magic))
    if head[offset:] == magic:
        return ""
    looks = "an HTML page" if head.lstrip()[:1] == b"<" else "something else"
    remedy = f"check the url in the dataset file, or put the file at {path.parent / name}"
    return f"{origin}: what came is not a {Path(name).suffix} file but {looks}; {remedy}"
