"""Downloads against a server that misbehaves on purpose."""

import errno
import hashlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from brainmet import fetch as fetching
from brainmet.errors import BrainmetError
from brainmet.fetch import archive as published
from brainmet.fetch import checksums
from brainmet.fetch import download as downloading
from brainmet.fetch.archive import Archive, Patience

HOME = Path(__file__).parents[2]
BODY = bytes(range(256)) * 4096  # 1 MB that no offset error can reproduce by chance
SHA = hashlib.sha256(BODY).hexdigest()
PATIENCE = Patience(attempts=3, backoff_seconds=0.01, stall_seconds=0.4)


class Server(ThreadingHTTPServer):
    """Serves `body` at every path; `faults` is popped once per request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.etag, self.ranges = BODY, '"v1"', True
        self.faults: list[str] = []
        self.seen: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        if self.path == "/folder/":
            self.answer(200, b'<a href="data_2.bin">data_2.bin</a><a href="other.txt"><a href="other_2.bin">')
            return
        fault = server.faults.pop(0) if server.faults else ""
        server.seen.append((self.path, self.headers.get("Range")))
        if fault.isdigit():
            self.answer(int(fault), b"no")
        elif fault == "redirect":
            self.redirect("/elsewhere/data.bin")
        elif fault == "loop":
            server.faults.append("loop")
            self.redirect(self.path)
        else:
            self.send_body(fault)

    def redirect(self, place: str) -> None:
        self.send_response(302)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_body(self, fault: str) -> None:
        server, body, start, status = self.server, self.server.body, 0, 200
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and server.ranges and (condition in (None, server.etag) or fault == "ignore_if_range"):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(body):
                self.answer(416, b"")
                return
        if fault == "wrong_bytes":
            body = b"x" * len(body)
        self.send_response(status)
        if server.etag:
            self.send_header("ETag", server.etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        early = fault in ("cut", "stall", "change", "slow", "short_range", "late")
        stop = start + (len(body) - start) // 2 if early else len(body)
        length = (
            stop - start if fault == "short_range" else len(body) - start + (1000 if fault == "wrong_length" else 0)
        )
        if fault == "unsaid":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[start:stop])
        self.wfile.flush()
        if fault == "late":
            time.sleep(0.3)
            self.wfile.write(body[stop:])
        if fault == "stall":
            time.sleep(1.5)
        if fault == "slow":
            time.sleep(30)
        if fault == "change":
            server.body, server.etag = BODY[::-1], '"v2"'
        if fault:
            self.close_connection = True


@contextmanager
def serving() -> Iterator[Server]:
    """A server on loopback that answers until the block ends."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "GSE1" / "data.bin"


def bring(
    source: dict[str, Any], target: Path, *, missing: str = "", patience: Patience = PATIENCE, **archive: Any
) -> None:
    fetching.fetch(source, target, Archive(**archive), patience, missing=missing)


def get(server: Server, target: Path, *, sha256: str | None = None, size: int | None = None, **manner: Any) -> None:
    source = {"url": f"{server.url}/folder/data.bin", "sha256": sha256, "size": size}
    bring(source, target, **manner)


def assert_whole(target: Path, body: bytes = BODY) -> None:
    assert target.read_bytes() == body
    assert {p.name for p in target.parent.iterdir() if not p.name.startswith(".")} == {"checksums.tsv", target.name}
    assert checksums.read_checksums(target.parent)[target.name].sha256 == hashlib.sha256(body).hexdigest()


def assert_nothing(target: Path) -> None:
    assert not target.exists()


def test_a_good_server(server: Server, target: Path) -> None:
    get(server, target)
    assert_whole(target)
    assert server.seen == [("/folder/data.bin", None)]


def test_a_cut_is_resumed_at_the_last_byte(server: Server, target: Path) -> None:
    server.faults = ["cut", "cut"]
    get(server, target)
    assert_whole(target)
    half, three = len(BODY) // 2, len(BODY) * 3 // 4
    assert [asked for _, asked in server.seen] == [None, f"bytes={half}-", f"bytes={three}-"]


def test_a_stall_is_given_up_and_resumed(server: Server, target: Path) -> None:
    server.faults = ["stall"]
    get(server, target)
    assert_whole(target)
    assert server.seen[1][1] == f"bytes={len(BODY) // 2}-"


def test_many_cuts_with_progress_do_not_use_up_the_attempts(server: Server, target: Path) -> None:
    server.faults = ["cut"] * 8
    get(server, target, patience=replace(PATIENCE, attempts=2))
    assert_whole(target)


def test_a_short_read_is_never_taken_for_the_file(server: Server, target: Path) -> None:
    server.faults = ["wrong_length"] * 20
    with pytest.raises(BrainmetError, match=r"3 attempts in a row brought nothing new.*are kept in data.bin.part"):
        get(server, target)
    assert_nothing(target)


def test_503_then_fine(server: Server, target: Path) -> None:
    server.faults = ["503", "503"]
    get(server, target)
    assert_whole(target)


def test_503_for_ever(server: Server, target: Path) -> None:
    server.faults = ["503"] * 9
    with pytest.raises(BrainmetError, match=r"answered 503.*try again later"):
        get(server, target)
    assert len(server.seen) == 3
    assert_nothing(target)


def test_without_ranges_the_file_starts_over(server: Server, target: Path) -> None:
    server.ranges, server.faults = False, ["cut"]
    get(server, target)
    assert_whole(target)


def test_redirects_are_followed_and_circles_refused(server: Server, target: Path) -> None:
    server.faults = ["redirect"]
    get(server, target)
    assert_whole(target)
    target.unlink()
    server.faults = ["loop"]
    with pytest.raises(BrainmetError, match=r"redirected in a circle"):
        get(server, target)


@pytest.mark.parametrize("second", ["", "ignore_if_range"])
def test_a_file_that_changes_between_resumes_is_not_joined(server: Server, target: Path, second: str) -> None:
    server.faults = ["change", second]
    get(server, target)
    assert_whole(target, BODY[::-1])
    # asked with If-Range, a server sends the new file at once; one that ignores it is found out and asked again
    assert len(server.seen) == (3 if second else 2)


def test_a_range_shorter_than_asked_is_not_the_end(server: Server, target: Path) -> None:
    server.faults = ["cut", "short_range"]
    get(server, target)
    assert_whole(target)
    assert len(server.seen) == 3


def test_a_part_without_its_note_is_not_trusted(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.with_name("data.bin.part").write_bytes(b"who knows" * 10)
    get(server, target)
    assert_whole(target)


def test_a_part_longer_than_the_file_starts_over(server: Server, target: Path) -> None:
    server.faults = ["cut"] + ["503"] * 3
    with pytest.raises(BrainmetError):
        get(server, target)
    server.body, server.etag = BODY[:1000], '"v1"'
    get(server, target)
    assert_whole(target, BODY[:1000])


def test_no_size_stated_and_no_validator(server: Server, target: Path) -> None:
    server.etag, server.faults = "", ["cut"]
    get(server, target)
    assert_whole(target)


def test_a_shipped_checksum_decides(server: Server, target: Path) -> None:
    server.faults = ["wrong_bytes"]
    get(server, target, sha256=SHA, size=len(BODY))  # once more, in case it was the transfer
    assert_whole(target)
    target.unlink()
    server.faults = ["wrong_bytes"] * 2
    with pytest.raises(BrainmetError, match=r"the dataset file says.*the published file has changed, or was altered"):
        get(server, target, sha256=SHA)
    assert_nothing(target)
    with pytest.raises(BrainmetError, match=rf"{len(BODY)} bytes instead of the 5 of the dataset file"):
        get(server, target, size=5)


def test_later_runs_are_held_to_the_first_download(server: Server, target: Path) -> None:
    get(server, target)
    target.unlink()
    server.body, server.etag = BODY[::-1], '"v2"'
    with pytest.raises(BrainmetError, match=r"has changed since its first download.*delete the line of data.bin"):
        get(server, target)
    assert_nothing(target)
    (target.parent / "checksums.tsv").unlink()
    get(server, target)
    assert_whole(target, BODY[::-1])


def test_a_file_edited_later_is_caught(server: Server, target: Path) -> None:
    get(server, target)
    source, stamps = {"url": "https://example.org/data.bin"}, target.parent / ".stamps"
    checksums.verify(source, target, stamps=stamps)
    target.write_bytes(BODY[::-1])
    with pytest.raises(BrainmetError, match=r"edited or replaced: .*its first download had .*delete it to have"):
        checksums.verify(source, target, stamps=stamps)
    with pytest.raises(BrainmetError, match=r"the dataset file says 0000.*put their sha256 into the dataset file"):
        checksums.verify({"path": "x", "sha256": "0" * 64}, target, stamps=stamps)
    checksums.verify({"path": "x"}, target, stamps=stamps)


def test_an_archive_is_hashed_once_for_all_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, hashed, sha256 = tmp_path / "all.tar", [], checksums.sha256
    archive.write_bytes(BODY)
    monkeypatch.setattr(checksums, "LARGE", 1)
    monkeypatch.setattr(checksums, "sha256", lambda path: hashed.append(path) or sha256(path))
    source = {"path": str(archive), "sha256": hashlib.sha256(BODY).hexdigest()}
    for _ in range(3):
        assert checksums.verify(source, archive, stamps=tmp_path / "stamps") == source["sha256"]
    assert hashed == [archive]
    before = archive.stat()
    archive.write_bytes(BODY[::-1])
    os.utime(archive, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (archive.stat().st_size, archive.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(BrainmetError, match="edited or replaced"):
        checksums.verify(source, archive, stamps=tmp_path / "stamps")


def test_a_checksum_that_cannot_be_kept_is_taken_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, occupied = tmp_path / "all.tar", tmp_path / "stamps"
    archive.write_bytes(BODY)
    occupied.write_text("a file where the folder should be")
    monkeypatch.setattr(checksums, "LARGE", 1)
    assert checksums.verify({"path": str(archive)}, archive, stamps=occupied) == hashlib.sha256(BODY).hexdigest()


def test_a_file_in_place_is_verified_not_downloaded(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(BODY)  # put there by hand
    get(server, target)
    assert_whole(target)
    get(server, target, offline=True)
    assert server.seen == []
    target.write_bytes(BODY[:10])
    get(server, target)
    assert_whole(target)


def test_404_names_what_the_folder_holds(server: Server, target: Path) -> None:
    server.faults = ["404"]
    with pytest.raises(
        BrainmetError, match=r"answered 404 .*folder holds data_2.bin.*correct the name under files:.*GSE1"
    ):
        get(server, target)
    server.faults = ["403"]
    with pytest.raises(BrainmetError, match=r"not public.*download it by hand to"):
        get(server, target)


def test_an_error_page_is_not_a_gzip(server: Server, target: Path) -> None:
    server.body = b"<html>sorry</html>"
    with pytest.raises(BrainmetError, match=r"not a .gz file but an HTML page"):
        get(server, target.with_name("matrix.mtx.gz"))
    assert_nothing(target.with_name("matrix.mtx.gz"))


def test_a_server_that_is_not_there(target: Path) -> None:
    with pytest.raises(BrainmetError, match=r"connection lost.*fetch: mirror"):
        bring({"url": "http://127.0.0.1:9/x.bin"}, target)


def test_a_full_disk_is_seen_before(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(BrainmetError, match=r"make room"):
        get(server, target)


def test_killed_and_restarted(server: Server, target: Path) -> None:
    server.faults = ["slow"]
    code = (
        "from pathlib import Path; from brainmet.fetch import Archive, Patience, fetch; "
        f"fetch({{'url': '{server.url}/folder/data.bin'}}, Path({str(target)!r}), Archive(), "
        "Patience(attempts=3, backoff_seconds=0.01, stall_seconds=60))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    part, end = target.with_name("data.bin.part"), time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == len(BODY) // 2) and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert_nothing(target)
    get(server, target)
    assert_whole(target)
    assert server.seen[-1][1] == f"bytes={len(BODY) // 2}-"


def test_stopped_while_verifying_nothing_is_downloaded_again(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fetching, "note_checksum", stop)
        get(server, target)
    assert_nothing(target)
    get(server, target)
    assert_whole(target)
    assert len(server.seen) == 1


def test_two_runs_that_share_a_folder_fetch_a_file_once(server: Server, target: Path) -> None:
    server.faults = ["late"]
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(get, server, target) for _ in range(2)]:
            done.result()
    assert_whole(target)
    assert len(server.seen) == 1


def test_a_job_that_waits_for_another_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "a.h5"
    with ThreadPoolExecutor() as pool, checksums.locked(path):
        second = pool.submit(lambda: checksums.locked(path).__enter__())
        while not caplog.text and not second.done():
            time.sleep(0.01)
        assert "another job fetches a.h5; this one waits for it" in caplog.text and not second.done()


def test_a_file_system_without_locks_is_told(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(checksums.fcntl, "flock", refuse)
    get(server, target)
    assert_whole(target)
    assert "this file system has no locks" in caplog.text


def test_a_proxy_of_the_environment_is_used(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    source = {"url": "http://archive.invalid/data.bin"}
    bring(source, target)
    assert_whole(target)
    assert server.seen == [("http://archive.invalid/data.bin", None)]
    target.unlink()
    server.faults = ["407"]
    with pytest.raises(BrainmetError, match=r"answered 407: the proxy wants a name and a password; set HTTPS_PROXY to"):
        bring(source, target)
    monkeypatch.setenv("HTTP_PROXY", "ftp://proxy:1")
    with pytest.raises(
        BrainmetError, match=r"the proxy that HTTPS_PROXY.* cannot be used .*name one as http://HOST:PO"
    ):
        bring(source, target)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_certificates_of_ones_own_are_named_in_the_environment(
    server: Server, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    line += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(line, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    source = {"url": f"{server.url.replace('http:', 'https:')}/data.bin"}
    with pytest.raises(BrainmetError, match=r"the certificate that came is not trusted .*in SSL_CERT_FILE, or take"):
        bring(source, target)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    bring(source, target)
    assert_whole(target)


def test_half_a_copy_is_not_left_on_a_full_disk(target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_: Path, part: Path) -> None:
        part.write_bytes(BODY[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    place = tmp_path / "mirror/GSE1/data.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(BODY)
    mirror = str(tmp_path / "mirror")
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(published.shutil, "copyfile", fill)
        bring({"url": "https://example.org/data.bin"}, target, mirror=mirror)
    assert [path.name for path in target.parent.iterdir() if path.name[0] != "."] == []
    bring({"url": "https://example.org/data.bin"}, target, mirror=mirror)
    assert_whole(target)


def test_offline_names_the_missing_files(server: Server, target: Path) -> None:
    with pytest.raises(BrainmetError, match=r"offline is true and these files are missing: a, b; put them there"):
        get(server, target, offline=True, missing="a, b")
    with pytest.raises(BrainmetError, match=r"offline is true"):
        get(server, target, offline=True, mirror=server.url)
    assert server.seen == []


def test_mirror_folder_and_server(server: Server, tmp_path: Path) -> None:
    source = {"url": "geo:GSE234832/GSE234832_RAW.bin"}
    mirror = tmp_path / "mirror"
    place = mirror / "geo/series/GSE234nnn/GSE234832/suppl/GSE234832_RAW.bin"
    target = tmp_path / "downloads" / "GSE234832" / "GSE234832_RAW.bin"

    with pytest.raises(BrainmetError, match=r"is not in the mirror .*geo/series/GSE234nnn/GSE234832/suppl"):
        bring(source, target, mirror=str(mirror))
    assert fetching.missing_offline({str(target): source}, Archive(mirror=str(mirror))) == [str(target)]
    place.parent.mkdir(parents=True)
    place.write_bytes(BODY)
    assert fetching.missing_offline({str(target): source}, Archive(mirror=str(mirror))) == []
    bring(source, target, mirror=str(mirror), offline=True)
    assert_whole(target)
    target.unlink()
    bring(source, target, mirror=server.url + "/copy")
    assert server.seen == [("/copy/geo/series/GSE234nnn/GSE234832/suppl/GSE234832_RAW.bin", None)]


def test_a_name_that_was_not_known_is_found_in_its_folder(server: Server, target: Path, tmp_path: Path) -> None:
    source = {"url": f"{server.url}/folder/data_*.bin"}
    bring(source, target)
    assert_whole(target)
    assert server.seen == [("/folder/data_2.bin", None)]
    assert checksums.read_checksums(target.parent)["data.bin"].source == f"{server.url}/folder/data_2.bin"
    assert f"{server.url}/folder/data_2.bin" in checksums.pinned("GSE1", {"data.bin": source}, target.parent)
    target.unlink()
    server.body = BODY[::-1]
    with pytest.raises(BrainmetError, match=r"has changed since its first download"):
        bring(source, target)


@pytest.mark.parametrize(("name", "number"), [("x*.bin", "no"), ("*_2.bin", "2")])
def test_a_name_that_none_or_several_fit_is_refused(server: Server, target: Path, name: str, number: str) -> None:
    known = rf"{number} files fit this name.*folder holds data_2.bin, other.txt, other_2.bin; put the file's name into"
    with pytest.raises(BrainmetError, match=known):
        bring({"url": f"{server.url}/folder/{name}"}, target)
    assert_nothing(target)
    with pytest.raises(BrainmetError, match=r"its folder cannot be listed; put the file's name into url: of data.bin"):
        bring({"url": "http://127.0.0.1:9/suppl/x*.bin"}, target)


@pytest.mark.parametrize("place", ["geo/series/GSE1nnn/GSE1234/suppl", "GSE1"])
def test_a_name_that_was_not_known_in_a_mirror(target: Path, tmp_path: Path, place: str) -> None:
    source, mirror = {"url": f"{published.GEO}/series/GSE1nnn/GSE1234/suppl/GSE1234_*.rds"}, tmp_path / "mirror"
    (mirror / place).mkdir(parents=True)
    assert fetching.missing_offline({str(target): source}, Archive(mirror=str(mirror))) == [str(target)]
    (mirror / place / "GSE1234_all.rds").write_bytes(BODY)
    assert fetching.missing_offline({str(target): source}, Archive(mirror=str(mirror))) == []
    bring(source, target, mirror=str(mirror), offline=True)
    assert_whole(target)
    assert checksums.read_checksums(target.parent)["data.bin"].source == source["url"].replace("*", "all")


def test_downloads_run_beside_snakemake_and_can_be_limited() -> None:
    """Compute nodes need no network: the rule is local; `--resources downloads=N` limits how many run at once."""
    rule = (HOME / "workflow/rules/fetch.smk").read_text()
    assert re.search(r"^localrules:\n(    \w+,\n)*    fetch,\n", rule, re.M) and "        downloads=1,\n" in rule


def test_addresses() -> None:
    root = "https://ftp.ncbi.nlm.nih.gov/geo"
    assert (
        published.archive_url("geo:GSE43837/GSE43837_series_matrix.txt.gz")
        == f"{root}/series/GSE43nnn/GSE43837/matrix/GSE43837_series_matrix.txt.gz"
    )
    assert published.archive_url("geo:GSM5645891/x.gz") == f"{root}/samples/GSM5645nnn/GSM5645891/suppl/x.gz"
    assert published.archive_url("ftp://ftp.ncbi.nlm.nih.gov/geo/x") == f"{root}/x"
    assert published.archive_url("https://a.b/c") == "https://a.b/c"


def test_package_files(tmp_path: Path) -> None:
    target = tmp_path / "oligodendroglioma.h5ad"
    bring({"package": "infercnvpy:oligodendroglioma"}, target, offline=True)
    assert target.stat().st_size > 1_000_000
    with pytest.raises(BrainmetError, match=r"nothere is not installed"):
        fetching.package_file("nothere:x")
    with pytest.raises(BrainmetError, match=r"has no data file of that name"):
        fetching.package_file("infercnvpy:nothing")


def test_parallel_records_lose_no_line(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"f{i}").write_bytes(b"%d" % i)
    threads = [
        threading.Thread(target=checksums.note_checksum, args=(tmp_path / f"f{i}", tmp_path / f"f{i}", "here"))
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checksums.read_checksums(tmp_path)) == 20


def test_a_damaged_checksum_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "checksums.tsv").write_text("file\tsize\tsha256\tsource\nonly\n")
    with pytest.raises(BrainmetError, match=r"checksums.tsv: line 2 is not"):
        checksums.read_checksums(tmp_path)


def test_pinned_prints_the_entry(server: Server, target: Path) -> None:
    get(server, target)
    text = checksums.pinned("GSE1", {"data.bin": {"url": f"{server.url}/folder/data.bin"}}, target.parent)
    assert yaml.safe_load(text)["files"] == [
        {"name": "data.bin", "url": f"{server.url}/folder/data.bin", "size": len(BODY), "sha256": SHA}
    ]


def test_progress_tells_rate_and_time_left() -> None:
    progress = downloading.Progress("x", 10_000_000, 0)
    progress.start, progress.done = 100.0, 2_000_000
    assert progress.line(102.0) == "x: 2.0 of 10.0 MB, 1.0 MB/s, 0:08 left"
