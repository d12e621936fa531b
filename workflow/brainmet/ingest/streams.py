"""Streams of text: read ahead of the caller, cut at the ends of lines, and brought to UTF-8."""

import io
import queue
import threading
from collections.abc import Iterator
from typing import IO

CHUNK = 1 << 22
"""4 MB of text per block, or one line where lines are longer."""


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
        size: bytes per block.
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


def in_utf8(stream: IO[bytes]) -> IO[bytes]:
    """The text in UTF-8 with a line feed at the end of lines: spreadsheets export UTF-16, and old ones carriage
    returns alone."""
    head = stream.peek(2)  # type: ignore[attr-defined]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return io.BufferedReader(_Recoded(io.TextIOWrapper(stream, "utf-16", newline=None)))
    return io.BufferedReader(_LineFeeds(stream)) if b"\r" in head and b"\n" not in head else stream


class _Recoded(io.RawIOBase):
    """A text in UTF-8, whatever it was written in."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text, self.rest = text, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        self.rest = self.rest or self.text.read(CHUNK).encode()
        data, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _LineFeeds(io.RawIOBase):
    """A text whose lines end with carriage returns, with line feeds instead."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        data = self.stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)
