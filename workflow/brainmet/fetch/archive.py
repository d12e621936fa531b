"""A public archive, or the mirror that stands for it: addresses of files, what lies beside them, and their bytes.

The Snakefile imports this at every start, so the HTTP client is imported where it is used.
"""

import difflib
import fnmatch
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)
GEO = "https://ftp.ncbi.nlm.nih.gov/geo"
PATTERN = "*"
"""Stands in an address for what was not known of a file's name."""
STALL_SECONDS = 30
"""Seconds without an answer after which a list of names or a small file is given up."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When a download gives up.

    Attributes:
        attempts: attempts in a row that may fail without a new byte.
        backoff_seconds: pause after the first failure; doubles with each one in a row.
        stall_seconds: seconds without a byte after which the connection is given up.
    """

    attempts: int
    backoff_seconds: float
    stall_seconds: float


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Where published files come from.

    Attributes:
        mirror: folder or server laid out like the archive, used instead of it; empty for none.
        offline: never touch the network.
    """

    mirror: str = ""
    offline: bool = False

    @property
    def folder(self) -> Path | None:
        """The mirror, where it is a folder."""
        return None if not self.mirror or self.mirror.startswith(("http://", "https://")) else Path(self.mirror)

    @property
    def closed(self) -> bool:
        """Whether its files are on the network, which must not be touched."""
        return self.offline and self.folder is None

    def names(self, url: str) -> list[str]:
        """Names of the files beside one; empty where they cannot be listed."""
        return _names_in(_path_in(self.folder, url).parent) if self.folder else _listing(self._address(url))

    def read(self, url: str) -> bytes:
        """The bytes of a small file.

        Raises:
            BrainmetError: it cannot be had.
        """
        place = _path_in(self.folder, url) if self.folder else self._address(url)
        try:
            return place.read_bytes() if isinstance(place, Path) else _small(place)
        except OSError as error:
            raise BrainmetError(f"{place}: cannot be had ({error})") from error

    def fill(self, part: Path, url: str, target: Path, patience: Patience, *, missing: str) -> str:
        """Fill a partial file with the bytes of a published one.

        Args:
            part: the partial file, which a download goes on with.
            url: address in the archive; its last part may hold a `PATTERN`.
            target: the name that the file will have, `{dataset}/{file}` in its last two parts.
            patience: when a download gives up.
            missing: every missing file of the run, for the sentence where `offline` forbids a download.

        Returns:
            The address that the bytes are published at, `url` unless that is a pattern.

        Raises:
            BrainmetError: the file cannot be had.
        """
        if self.folder:
            if not (found := held(self.folder, url, target)):
                places = " or ".join(map(str, _places(self.folder, url, target)))
                raise BrainmetError(
                    f"{target.name} is not in the mirror {self.mirror}; put it at {places}, or at {target}"
                )
            copy(found, part)
            return _beside(url, found.name) if PATTERN in url else url
        if self.offline:
            raise BrainmetError(
                f"fetch: offline is true and these files are missing: {missing or target}; put them there "
                f"(this one is published at {url}), or name a folder that holds them in fetch: mirror"
            )
        address = self._address(url)
        if PATTERN in url:
            name = _fitting(address, _listing(address), target)
            address, url = _beside(address, name), _beside(url, name)
        from brainmet.fetch.download import Refused, download

        log.info("%s: from %s", target, address)
        try:
            download(address, part, patience)
        except Refused as error:
            raise BrainmetError(f"{error}{_advice(address, error.status, target)}") from error
        return url

    def _address(self, url: str) -> str:
        """Where a server holds a file of the archive."""
        return self.mirror.rstrip("/") + urlsplit(url).path if self.mirror else url


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


def fits(address: str, pattern: str) -> bool:
    """Whether an address is another one, or what its `PATTERN` stands for."""
    return address == pattern or (PATTERN in pattern and fnmatch.fnmatchcase(address, pattern))


def held(folder: Path, url: str, target: Path) -> Path | None:
    """The file of a mirror that stands for a published one; None where it has none.

    Raises:
        BrainmetError: several files fit a `PATTERN` in the address.
    """
    places = _places(folder, url, target)
    if PATTERN in url:
        name = url.rpartition("/")[2]
        for place in (path.parent for path in places):
            if fnmatch.filter(names := _names_in(place), name):
                return place / _fitting(str(place / name), names, target)
    return next((place for place in places if place.is_file()), None)


def copy(source: Path, part: Path) -> None:
    """Fill a partial file with the bytes of another file."""
    from brainmet.fetch.download import discard

    part.parent.mkdir(parents=True, exist_ok=True)
    discard(part)
    log.info("%s: copied from %s", part.name.removesuffix(".part"), source)
    try:
        shutil.copyfile(source, part)
    except OSError:  # half a copy is of no use, and on a full disk it takes the room
        part.unlink(missing_ok=True)
        raise


def _places(folder: Path, url: str, target: Path) -> tuple[Path, Path]:
    """Where a folder may hold a file: under the archive's path, or under `{dataset}/{file}`."""
    return _path_in(folder, url), folder / target.parent.name / target.name


def _path_in(folder: Path, url: str) -> Path:
    return folder / unquote(urlsplit(url).path).lstrip("/")


def _names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def _beside(url: str, name: str) -> str:
    """The address of another file of the same folder."""
    return f"{url.rpartition('/')[0]}/{name}"


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
    names = _listing(url)
    near = difflib.get_close_matches(target.name, names, n=3, cutoff=0.3) or names[:5]
    shown = f"; its folder holds {', '.join(near)}" if near else ""
    return f" (no such file){shown}; {entry}, or put the file at {target}"


def _listing(url: str) -> list[str]:
    """File names in the server's page for the folder of `url`; empty when there is none."""
    try:
        page = _small(_beside(url, ""))
    except OSError:
        return []
    text = page[:200_000].decode(errors="replace")
    return sorted({unquote(name) for name in re.findall(r'href="([^"/?#]+)"', text)})


def _small(url: str) -> bytes:
    """What a server gives for an address.

    Raises:
        OSError: it cannot be reached, or refuses.
    """
    import httpx

    from brainmet.fetch.download import connect

    try:
        with connect(STALL_SECONDS) as client:
            return client.get(url).raise_for_status().content
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
