"""Files of a series, inside or outside archives, read in place.

A member of a tar or zip is read from it: nothing is unpacked to disk, so a name with `..`, an absolute name or a link
can do no harm; such members are refused all the same, because their archive is not what its entry says.
"""

import bz2
import io
import logging
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from isal import igzip

from brainmet.core import damage
from brainmet.core.names import begins, matches_name
from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)

TAR = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.gz|tar\.bz2|tar\.xz|zip)$", re.IGNORECASE)
PACKED = r"(\.(gz|bz2|xz))?$"
"""The end of a name: what may stand behind a suffix. How a file is packed is told by its first bytes, not by this."""
ALL_DROPLETS = re.compile(r"(^|[^a-z])raw(_(feature|gene)_bc_matri|/)", re.IGNORECASE)
CELLS_ONLY = re.compile(r"(^|[^a-z])filtered(_(feature|gene)_bc_matri|/)", re.IGNORECASE)
"""Names of cellranger, and the folders of STARsolo."""
UNPACK: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda stream: igzip.IGzipFile(fileobj=stream),  # Four times as fast as zlib.
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
UNREAD = {
    b"\x28\xb5\x2f\xfd": "Zstandard (unzstd)",
    b"\x04\x22\x4d\x18": "LZ4 (unlz4)",
    b"\x1f\x9d": "compress (uncompress)",
    b"7z\xbc\xaf": "7-Zip (7z x)",
    b"Rar!": "RAR (unrar x)",
}
"""First bytes of what is packed in a way that nothing here reads, and the program that unpacks it."""
WEB_PAGE = re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE)
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
        inside: names to follow inside nested archives; empty for a file of its own.
        above: folders above the file on disk, where the dataset file names one of them.
    """

    name: str
    path: Path
    inside: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    @property
    def packed(self) -> bool:
        """Whether the bytes must be taken out of an archive or unpacked before they can be read at any place."""
        return bool(self.inside) or re.search(r"\.(gz|bz2|xz)$", self.name, re.IGNORECASE) is not None

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders of its archive, or of a folder of files, that it lies in, the outermost first."""
        return (*self.above, *(PurePosixPath(self.inside[-1]).parts[:-1] if self.inside else ()))

    @property
    def full_name(self) -> str:
        """Its name with the folders it lies in: `S1/filtered/matrix.mtx.gz`."""
        return "/".join((*self.folders, self.name))

    def __str__(self) -> str:
        return " in ".join([*reversed(self.inside), str(self.path)]) if self.inside else str(self.path)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The member's bytes, without gzip where it is gzipped.

        Raises:
            BrainmetError: missing, truncated or damaged, also while reading.
        """
        try:
            with _raw(self) as (stream, disk):
                yield _decompressed(stream, self, disk)
        except FileNotFoundError as error:
            raise BrainmetError(f"{self}: no such file; put it there, or correct files: in the dataset file") from error
        except (OSError, *damage.PACKED) as error:
            raise BrainmetError(
                f"{self}: the file is truncated or damaged ({error}); delete it and fetch it again"
            ) from error

    def read(self) -> bytes:
        """All bytes, for small files."""
        with self.open() as stream:
            return stream.read()


class _Limited(io.RawIOBase):
    """A decompressing reader that stops when the output outgrows any honest compression."""

    def __init__(self, stream: IO[bytes], source: IO[bytes], name: str) -> None:
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


def _decompressed(stream: IO[bytes], member: Member, disk: IO[bytes]) -> IO[bytes]:
    head = stream.read(6)
    stream.seek(0)
    if unpack := _unpacking(head):
        return io.BufferedReader(_Limited(unpack(stream), stream, str(member)), CHUNK)
    # The archive itself may be compressed.
    return io.BufferedReader(_Limited(stream, disk, str(member)), CHUNK) if member.inside else stream


def unpacked(stream: IO[bytes], member: Member) -> "io.BufferedReader[Any]":
    """A member's bytes without the packing that they may have had before the file was packed."""
    outer: io.BufferedReader[Any] = io.BufferedReader(stream)
    unpack = _unpacking(outer.peek())
    return io.BufferedReader(_Limited(unpack(outer), outer, str(member)), CHUNK) if unpack else outer


def _unpacking(head: bytes) -> Callable[[Any], Any] | None:
    """What unpacks bytes that begin like these; None where they are not packed."""
    return next((unpack for mark, unpack in UNPACK.items() if head.startswith(mark)), None)


@contextmanager
def _raw(member: Member) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The member as it is stored, and the file on disk that holds it."""
    with ExitStack() as opened:
        disk: IO[bytes] = opened.enter_context(member.path.open("rb"))
        stream = disk
        for step in member.inside:
            stream = opened.enter_context(_extract(opened.enter_context(_archive(stream)), step))
        yield stream, disk


Archive = tarfile.TarFile | zipfile.ZipFile


@contextmanager
def _archive(stream: IO[bytes]) -> Iterator[Archive]:
    """A tar of any compression, or a zip, by its first bytes."""
    head = stream.read(4)
    stream.seek(0)
    with _zip(stream) if head == b"PK\x03\x04" else tarfile.open(fileobj=stream) as archive:
        yield archive


def _zip(stream: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except NotImplementedError as error:  # of a version that is not known yet, or damaged
        raise zipfile.BadZipFile(str(error)) from error


def _extract(archive: Archive, name: str) -> IO[bytes]:
    try:
        stream = archive.open(name) if isinstance(archive, zipfile.ZipFile) else archive.extractfile(name)
    except (NotImplementedError, RuntimeError, KeyError) as error:  # encrypted, packed by another method, or damaged
        raise zipfile.BadZipFile(str(error)) from error
    if stream is None:
        raise tarfile.ReadError(f"{name} is not a file")
    return stream


def list_members(files: Sequence[tuple[str, Path]]) -> list[Member]:
    """All files of a sample's record, archives opened (also one archive inside another).

    Args:
        files: published name, with the folders of a folder of files, and path on disk.

    Raises:
        BrainmetError: a file is missing, damaged, no data, or an archive holds a member that points outside.
    """
    members: list[Member] = []
    for name, path in files:
        if not path.is_file():
            raise BrainmetError(f"{path}: no such file; put it there, or correct files: in the dataset file")
        _refuse(path)
        above = PurePosixPath(name).parts[:-1]
        if not TAR.search(name) and not TAR.search(path.name):
            members.append(Member(PurePosixPath(name).name, path, above=above))
            continue
        # With one archive per sample its name may be all that tells whose the files are.
        above = (*above, re.sub(TAR, "", PurePosixPath(name).name))
        with _opened(path) as (_, archive):
            members.extend(replace(member, above=above) for member in _listed(archive, path, ()))
    return members


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], Archive]]:
    """An archive on disk, and its file.

    Raises:
        BrainmetError: it is damaged, also where that shows while it is read.
    """
    try:
        with path.open("rb") as stream, _archive(stream) as archive:
            yield stream, archive
    except damage.PACKED as error:
        raise BrainmetError(
            f"{path}: the archive is truncated or damaged ({error}); delete it and fetch it again"
        ) from error


def _refuse(path: Path) -> None:
    """Raises where the first bytes of a file tell that no reader can make anything of it."""
    with path.open("rb") as stream:
        head = stream.read(64)
    if not head:
        raise BrainmetError(f"{path}: the file is empty; delete it and fetch it again")
    if WEB_PAGE.match(head):
        raise BrainmetError(
            f"{path}: is a web page, most likely the archive's word that something went wrong; delete it and fetch it "
            "again"
        )
    if head.startswith(b"version https://git-lfs"):
        raise BrainmetError(f"{path}: stands for a file in Git LFS; fetch the file itself with git lfs pull")
    if how := next((how for mark, how in UNREAD.items() if head.startswith(mark)), None):
        raise BrainmetError(f"{path}: is packed by {how}, which is not read here; unpack it and name what is inside")


def _entries(archive: Archive, path: Path) -> Iterator[str]:
    """Names of the files in an archive, none of which points elsewhere."""
    if isinstance(archive, zipfile.ZipFile):
        entries = [(info.filename, not info.is_dir(), info.external_attr >> 28 == 0xA) for info in archive.infolist()]
    else:
        entries = ((entry.name, entry.isfile(), entry.issym() or entry.islnk()) for entry in archive)  # type: ignore[assignment]
    for name, is_file, is_link in entries:
        if is_link:
            raise BrainmetError(f"{path}: the member {name} is a link; refused: check where the archive comes from")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BrainmetError(
                f"{path}: the member {name} points outside the archive; refused: check where it comes from"
            )
        if is_file and not PurePosixPath(name).name.startswith("._"):
            yield name


def _listed(archive: Archive, path: Path, inside: tuple[str, ...]) -> Iterator[Member]:
    for name in _entries(archive, path):
        base = PurePosixPath(name).name
        if not TAR.search(base) or len(inside) >= MAX_DEPTH:
            yield Member(base, path, (*inside, name))
            continue
        with _extract(archive, name) as stream, _archive(stream) as nested:
            folder = re.sub(TAR, "", base)
            for member in _listed(nested, path, (*inside, name)):
                # The sample's name is often the archive's only: barcodes.tsv.gz inside GSM1_A.tar.gz is GSM1_A's.
                named = member.name.startswith(folder)
                yield member if named else Member(f"{folder}/{member.name}", path, member.inside)


def contents(members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
    """The bytes of many small files, each archive opened once, in the order of the archives."""
    archived = {(member.path, member.inside[0]): member for member in members if len(member.inside) == 1}
    for path in dict.fromkeys(path for path, _ in archived):
        with _opened(path) as (file, archive):
            for name in _entries(archive, path):
                if member := archived.get((path, name)):
                    with _extract(archive, name) as stream:
                        yield member, _decompressed(stream, member, file).read()
    for member in members:
        if len(member.inside) != 1:
            yield member, member.read()


def select(members: Sequence[Member], match: str | None, *, optional: bool = False) -> list[Member]:
    """The members of one sample; all when there is nothing to match.

    Where no base name begins with `match`, a folder of the archive may: `S1/filtered_feature_bc_matrix/matrix.mtx.gz`;
    of several matrices in such a folder a longer path names one: `S1/Solo.out/Gene`.
    Of matrices of all droplets and of cells that lie side by side, the cells are taken.

    Raises:
        BrainmetError: no member matches, unless `optional`.
    """
    chosen = list(members)
    if match is not None:
        chosen = [member for member in members if begins(member.name, match)]
        chosen = chosen or [member for member in members if any(begins(folder, match) for folder in member.folders)]
        chosen = chosen or [member for member in members if matches_name(member.full_name, match)]
    if not chosen and not optional:
        names = ", ".join(sorted(member.full_name for member in members)[:6])
        raise BrainmetError(
            f"match: {match}: no file of the dataset starts with it (there are {names}); correct match in the dataset "
            "file, for which `snakemake discover` prints the lines that its files call for"
        )
    if any(CELLS_ONLY.search(member.full_name) for member in chosen):
        cells = [member for member in chosen if not ALL_DROPLETS.search(member.full_name)]
        if len(cells) < len(chosen):
            log.info("%s: filtered and raw matrices lie side by side; the filtered are read", match or cells[0].path)
        chosen = cells
    return chosen


def one(members: Sequence[Member], *patterns: str, what: str, among: str) -> Member:
    """The single member whose name fits a pattern; a later pattern counts only where the earlier ones fit none.

    Raises:
        BrainmetError: none or several do.
    """
    hits: list[Member] = []
    for pattern in patterns:
        hits = hits or [member for member in members if re.search(pattern, member.name, re.IGNORECASE)]
    if len(hits) == 1:
        return hits[0]
    names = ", ".join(sorted(member.full_name for member in (hits or members))[:6]) or "no files"
    if not hits:
        raise BrainmetError(
            f"{among}: no file can be its {what} ({names}); correct match, files or layout in the dataset file"
        )
    apart = ""
    if len({member.full_name.rsplit("/", 1)[0] for member in hits if member.folders}) == len(hits):
        apart = f"; match may be a path too, such as {'/'.join(hits[0].folders)}"
    raise BrainmetError(
        f"{among}: {len(hits)} files can be its {what} ({names}); correct match or files in the dataset file "
        f"(`snakemake discover` prints a line for every sample that its files call for){apart}"
    )
