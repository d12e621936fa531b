"""One file over HTTP, resumed from its last byte until it is whole.

The bytes go to a partial file; a note beside it remembers which version of the published file they belong to, so that a
later attempt, or a later run, never joins the halves of two versions.
"""

import json
import logging
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import httpx
import tenacity

from brainmet.errors import BrainmetError
from brainmet.fetch.archive import Patience

log = logging.getLogger(__name__)
LONGEST_PAUSE = 60.0
"""Seconds; back-off doubles up to here."""
LOG_EVERY, SHOW_EVERY = 30.0, 0.5
"""Seconds between two lines of a log, and between two updates on a terminal."""


class Unfinished(Exception):
    """The transfer stopped early for a reason that another attempt may cure."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Version:
    """What a server says of the file it sends, to tell whether two answers are of the same file."""

    url: str
    etag: str | None = None
    modified: str | None = None
    size: int | None = None

    @classmethod
    def of(cls, url: str, response: httpx.Response) -> Self:
        """The version that a 200 or 206 answer belongs to."""
        return cls(url, response.headers.get("etag"), response.headers.get("last-modified"), _total(response))

    def differs(self, other: "Version") -> bool:
        """Whether something that both state is not the same."""
        pairs = ((self.etag, other.etag), (self.modified, other.modified), (self.size, other.size))
        return self.url != other.url or any(a is not None and b is not None and a != b for a, b in pairs)

    def condition(self) -> dict[str, str]:
        """Headers that ask for the whole file instead of a range when the file has changed."""
        if self.etag and not self.etag.startswith("W/"):
            return {"If-Range": self.etag}
        return {"If-Range": self.modified} if self.modified else {}


def download(url: str, part: Path, patience: Patience) -> None:
    """Fill `part` with the bytes of `url`, going on from what it holds.

    Args:
        url: http(s) address; redirects are followed.
        part: partial file; left in place when the download fails, so that the next run goes on from it. The note beside
            it stays until `discard`.
        patience: when to give up.

    Raises:
        BrainmetError: the server refuses the file, or no attempt brought new bytes.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    score = _Score(patience)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Unfinished), stop=score.stop, wait=score.wait, reraise=True
    )
    with connect(patience.stall_seconds) as client:
        try:
            for attempt in retrying:
                with attempt:
                    score.before(part)
                    _attempt(client, url, part)
        except Unfinished as error:
            held = _size(part)
            kept = f"; {held} bytes are kept in {part.name} and the next run goes on from there" if held else ""
            raise BrainmetError(
                f"{url}: {patience.attempts} attempts in a row brought nothing new ({error}){kept}; "
                "try again later, or take the files from a copy with fetch: mirror"
            ) from error


def connect(stall_seconds: float) -> httpx.Client:
    """A client that follows redirects, through the proxy and with the certificates that the environment names.

    Raises:
        BrainmetError: the environment names a proxy of another kind.
    """
    # identity: a .gz file must arrive as published, not unpacked on the way
    headers = {"Accept-Encoding": "identity", "User-Agent": "brainmet"}
    try:
        return httpx.Client(follow_redirects=True, timeout=httpx.Timeout(stall_seconds), headers=headers)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise BrainmetError(
            f"the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used ({error}); "
            "name one as http://HOST:PORT, or unset the variable"
        ) from error


def note_of(part: Path) -> Path:
    """Where the version of a partial file is noted."""
    return part.with_name(part.name + ".json")


def discard(part: Path) -> None:
    """Forget a partial file."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


class _Score:
    """Counts failures in a row that brought no new byte, for tenacity."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.best, self.fruitless, self.part = -1, 0, Path()

    def before(self, part: Path) -> None:
        self.part = part
        if self.best < 0:
            self.best = _size(part)

    def stop(self, state: tenacity.RetryCallState) -> bool:
        size = _size(self.part)
        self.fruitless = 1 if size > self.best else self.fruitless + 1
        self.best = max(self.best, size)
        return self.fruitless >= self.patience.attempts

    def wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wanted = error.pause if isinstance(error, Unfinished) else 0.0
        backoff = self.patience.backoff_seconds * 2 ** max(self.fruitless - 1, 0)
        pause = min(max(backoff, wanted), LONGEST_PAUSE)
        log.warning("%s: %s; again in %.1f s", self.part.name, error, pause)
        return pause


def _attempt(client: httpx.Client, url: str, part: Path) -> None:
    """One request; returns when the partial file is whole."""
    noted, held = _known(url, part), _size(part)
    if noted and noted.size is not None and held == noted.size:
        return
    headers = {"Range": f"bytes={held}-", **noted.condition()} if noted and held else {}
    try:
        with client.stream("GET", url, headers=headers) as response:
            _refuse(response, url, part)
            version = Version.of(url, response)
            if response.status_code == 206:
                _check_range(response, part, noted, version, held)
            elif held:
                log.warning("%s: %s, starting over", part.name, _why_over(noted, version))
                held = 0
            _room(part, version, held)
            note_of(part).write_text(json.dumps(asdict(version)))
            _receive(response, part, version, held)
    except httpx.TooManyRedirects as error:
        raise BrainmetError(f"{url}: redirected in a circle; correct the url in the dataset file") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise BrainmetError(f"{url}: not an http(s) address; correct the url in the dataset file") from error
    except httpx.TimeoutException as error:
        raise Unfinished("the server sent nothing for too long") from error
    except httpx.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise BrainmetError(
                f"{url}: the certificate that came is not trusted ({error}); where a proxy opens connections, name its "
                "certificate in SSL_CERT_FILE, or take the files from a copy with fetch: mirror"
            ) from error
        raise Unfinished(f"connection lost: {error or type(error).__name__}") from error


def _refuse(response: httpx.Response, url: str, part: Path) -> None:
    status = response.status_code
    if status == 416:  # the part is longer than the file: it belongs to something else
        discard(part)
        raise Unfinished("the server has fewer bytes than were kept")
    if status in (408, 425, 429) or status >= 500:
        after = response.headers.get("retry-after", "")
        raise Unfinished(f"the server answered {status}", float(after) if after.isdigit() else 0.0)
    if status not in (200, 206):
        raise Refused(url, status)


class Refused(BrainmetError):
    """The server has no such file, or does not give it."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url}: the server answered {status}")
        self.status = status


def _check_range(response: httpx.Response, part: Path, known: Version | None, version: Version, held: int) -> None:
    """A continuation must start where the part ends and be of the same version (servers may ignore If-Range)."""
    start = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    if known is None or start != str(held) or known.differs(version):
        discard(part)
        raise Unfinished("the published file has changed since the first bytes came")


def _why_over(known: Version | None, version: Version) -> str:
    if known is None:
        return "the kept bytes are of an unknown version"
    return "the published file has changed since" if known.differs(version) else "the server does not serve ranges"


def _receive(response: httpx.Response, part: Path, version: Version, held: int) -> None:
    progress = Progress(part.name.removesuffix(".part"), version.size, held)
    with part.open("ab" if held else "wb") as file:
        for block in response.iter_raw():  # as they arrive: a block size would hold bytes back that a cut then loses
            file.write(block)
            file.flush()
            progress.add(len(block))
    progress.close()
    size = _size(part)
    if version.size is not None and size < version.size:
        raise Unfinished(f"{size} of {version.size} bytes came")
    if version.size is not None and size > version.size:
        discard(part)
        raise Unfinished(f"{size} bytes came instead of {version.size}")


def _room(part: Path, version: Version, held: int) -> None:
    free, needed = shutil.disk_usage(part.parent).free, (version.size or 0) - held
    if needed > free:
        raise BrainmetError(
            f"{part.parent}: {needed / 1e6:,.1f} MB are needed for {part.name.removesuffix('.part')} and "
            f"{free / 1e6:,.1f} MB are free; make room or choose another working directory with -d"
        )


def _known(url: str, part: Path) -> Version | None:
    try:
        version = Version(**json.loads(note_of(part).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return version if version.url == url else None


def _total(response: httpx.Response) -> int | None:
    """Size of the whole file, None when the server does not tell."""
    if response.status_code == 206:
        total = response.headers.get("content-range", "").rpartition("/")[2]
    else:
        total = response.headers.get("content-length", "")
    return int(total) if total.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class Progress:
    """How far a download is: one updated line on a terminal, a line now and then in a log."""

    def __init__(self, name: str, total: int | None, held: int) -> None:
        self.name, self.total, self.held, self.done = name, total, held, held
        self.start = self.shown = self.logged = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def add(self, n: int) -> None:
        """Count `n` further bytes."""
        self.done += n
        now = time.monotonic()
        if self.terminal and now - self.shown >= SHOW_EVERY:
            self.shown = now
            sys.stderr.write(f"\r{self.line(now):<78}")
            sys.stderr.flush()
        if now - self.logged >= LOG_EVERY:
            self.logged = now
            log.info(self.line(now))

    def line(self, now: float) -> str:
        """Done, total, rate and time left, as far as known."""
        rate = (self.done - self.held) / max(now - self.start, 1e-9)
        parts = [f"{self.name}: {self.done / 1e6:.1f} MB", f"{rate / 1e6:.1f} MB/s"]
        if self.total:
            parts[0] = f"{self.name}: {self.done / 1e6:.1f} of {self.total / 1e6:.1f} MB"
            left = (self.total - self.done) / rate if rate else 0.0
            parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
        return ", ".join(parts)

    def close(self) -> None:
        """End the line."""
        line = self.line(time.monotonic())
        log.info(line)
        if self.terminal:
            sys.stderr.write(f"\r{line:<78}\n")
