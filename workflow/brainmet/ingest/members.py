"""Files of a series, inside or outside archives, read in place.

A member of a tar is read from the tar: nothing is unpacked to disk, so a name with `..`, an absolute name or a link can
do no harm; such members are refused all the same, because their archive is not what its entry says.
"""

import gzip
import io
import logging
import queue
import re
import tarfile
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from isal import igzip, isal_zlib

from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)

TAR = re.compile(r"\.(tar|tgz|tar\.gz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
DAMAGED: Any = (EOFError, zlib.error, isal_zlib.error, gzip.BadGzipFile, tarfile.TarError)
MAX_EXPANSION = 1_000
"""A gzip of numbers shrinks 5 to 200 fold; a bomb more than a thousand fold (deflate's limit is 1,032)."""
MAX_DEPTH = 2
CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of a series.

    Attributes:
        name: base name, as published.
        path: the file on disk that holds it.
        inside: names to follow inside nested tars; empty for a file of its own.
    """

    name: str
    path: Path
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " in ".join([*reversed(self.inside), str(self.path)]) if self.inside else str(self.path)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The member's bytes, without gzip where it is gzipped.

        Raises:
            BrainmetError: missing, truncated or damaged, also while reading.
        """
        try:
            with _raw(self) as stream:
                yield _decompressed(stream, self)
        except FileNotFoundError as error:
            raise BrainmetError(f"{self}: no such file; put it there, or mend files: in the dataset file") from error
        except DAMAGED as error:
            raise BrainmetError(
                f"{self}: the file is truncated or damaged ({error}); delete it and fetch it again"
            ) from error

    def read(self) -> bytes:
        """All bytes, for small files."""
        with self.open() as stream:
            return stream.read()


class _Limited(io.RawIOBase):
    """A decompressing reader that stops when the output outgrows any honest compression."""

    def __init__(self, stream: igzip.IGzipFile, source: IO[bytes], name: str) -> None:
        self.stream, self.source, self.name, self.total = stream, source, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        self.total += len(data)
        if self.total > 1 << 26 and self.total > MAX_EXPANSION * max(self.source.tell(), 1):
            raise BrainmetError(
                f"{self.name}: expands more than {MAX_EXPANSION} fold; it is not a count table: check its source"
            )
        return len(data)


def _decompressed(stream: IO[bytes], member: Member) -> IO[bytes]:
    head = stream.read(2)
    stream.seek(0)
    if head != b"\x1f\x8b":
        return stream
    # Four times as fast as zlib.
    return io.BufferedReader(_Limited(igzip.IGzipFile(fileobj=stream), stream, str(member)), CHUNK)


@contextmanager
def _raw(member: Member) -> Iterator[IO[bytes]]:
    if not member.inside:
        with member.path.open("rb") as stream:
            yield stream
        return
    with _tar(member.path, None) as outer:
        tar = outer
        for step in member.inside[:-1]:
            tar = tarfile.open(fileobj=_extract(tar, step))  # noqa: SIM115 (lives as long as the outer one)
        yield _extract(tar, member.inside[-1])


def _extract(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = tar.extractfile(name)
    if stream is None:
        raise tarfile.ReadError(f"{name} is not a file")
    return stream


@contextmanager
def _tar(path: Path, stream: IO[bytes] | None) -> Iterator[tarfile.TarFile]:
    with tarfile.open(path) if stream is None else tarfile.open(fileobj=stream) as tar:
        yield tar


def ahead(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Blocks of a stream, the next one read and decompressed by a thread while the caller works on this one."""
    waiting: queue.Queue[bytes | BaseException] = queue.Queue(maxsize=2)
    stopped = threading.Event()

    def put(item: bytes | BaseException) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            while put(block := stream.read(size)) and block:
                pass
        except BaseException as error:  # Whatever it is, it is the caller's.
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, BaseException):
                raise item
            if not item:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def whole_lines(stream: IO[bytes], size: int, first: bytes = b"") -> Iterator[bytes]:
    """Blocks of whole lines, about `size` bytes each or one line where lines are longer; the last line ended.

    Args:
        stream: read to its end, ahead of the caller.
        size: bytes a block.
        first: what was read of the stream before.
    """
    rest = [first]
    for block in ahead(stream, size):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, block[:cut]])
            rest = [block[cut:]]
        else:
            rest.append(block)
    text = b"".join(rest)
    if text.strip():
        yield text if text.endswith(b"\n") else text + b"\n"


def list_members(files: Sequence[tuple[str, Path]]) -> list[Member]:
    """All files of a sample's record, archives opened (also one archive inside another).

    Args:
        files: published name and path on disk.

    Raises:
        BrainmetError: a file is missing, damaged, or an archive holds a member that points outside.
    """
    found: list[Member] = []
    for name, path in files:
        if not path.is_file():
            raise BrainmetError(f"{path}: no such file; put it there, or mend files: in the dataset file")
        if not TAR.search(name) and not TAR.search(path.name):
            found.append(Member(PurePosixPath(name).name, path))
            continue
        try:
            with _tar(path, None) as tar:
                found.extend(_listed(tar, path, ()))
        except DAMAGED as error:
            raise BrainmetError(
                f"{path}: the archive is truncated or damaged ({error}); delete it and fetch it again"
            ) from error
    return found


def _listed(tar: tarfile.TarFile, path: Path, inside: tuple[str, ...]) -> Iterator[Member]:
    for entry in tar:
        name = PurePosixPath(entry.name)
        if entry.issym() or entry.islnk():
            raise BrainmetError(
                f"{path}: the member {entry.name} is a link; refused: check where the archive comes from"
            )
        if name.is_absolute() or ".." in name.parts:
            raise BrainmetError(
                f"{path}: the member {entry.name} points outside the archive; refused: check where it comes from"
            )
        if not entry.isfile() or name.name.startswith("._"):
            continue
        if TAR.search(name.name) and len(inside) < MAX_DEPTH:
            with tarfile.open(fileobj=_extract(tar, entry.name)) as nested:
                folder = re.sub(TAR, "", name.name)
                for member in _listed(nested, path, (*inside, entry.name)):
                    # The sample's name is often the archive's only: barcodes.tsv.gz inside GSM1_A.tar.gz belongs to
                    # GSM1_A.
                    yield (
                        member
                        if member.name.startswith(folder)
                        else Member(f"{folder}/{member.name}", path, member.inside)
                    )
        else:
            yield Member(name.name, path, (*inside, entry.name))


def contents(found: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
    """The bytes of many small files, each archive walked once, in the order of the archives."""
    archived = {(member.path, member.inside[0]): member for member in found if len(member.inside) == 1}
    for path in dict.fromkeys(path for path, _ in archived):
        try:
            with _tar(path, None) as tar:
                for entry in tar:
                    if member := archived.get((path, entry.name)):
                        with _extract(tar, entry.name) as stream:
                            yield member, _decompressed(stream, member).read()
        except DAMAGED as error:
            raise BrainmetError(
                f"{path}: the archive is truncated or damaged ({error}); delete it and fetch it again"
            ) from error
    for member in found:
        if len(member.inside) != 1:
            yield member, member.read()


def matches(name: str, match: str) -> bool:
    """Whether a member belongs to a sample: `match` is a prefix of its name, ended by a non-alphanumeric character."""
    return name.startswith(match) and (len(name) == len(match) or not name[len(match)].isalnum())


def select(found: Sequence[Member], match: str | None) -> list[Member]:
    """The members of one sample; all when there is nothing to match.

    Raises:
        BrainmetError: no member matches.
    """
    if match is None:
        return list(found)
    own = [member for member in found if matches(member.name, match)]
    if not own:
        names = ", ".join(sorted(member.name for member in found)[:6])
        raise BrainmetError(
            f"match: {match}: no file of the dataset starts with it (there are {names}); mend match in the dataset file"
        )
    return own


def one(found: Sequence[Member], pattern: str, *, what: str, among: str) -> Member:
    """The single member whose name fits a pattern.

    Raises:
        BrainmetError: none or several do.
    """
    hits = [member for member in found if re.search(pattern, member.name, re.IGNORECASE)]
    if len(hits) == 1:
        return hits[0]
    names = ", ".join(sorted(member.name for member in (hits or found))[:6]) or "no files"
    word = "no file" if not hits else f"{len(hits)} files"
    raise BrainmetError(f"{among}: {word} can be its {what} ({names}); mend match, files or layout in the dataset file")
