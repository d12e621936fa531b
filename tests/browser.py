"""Debian's chromium without a window, spoken to over pipes with the standard library alone."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--mute-audio",
    "--remote-debugging-pipe",
)


_CHOOSE = "(s, v) => { const e = document.querySelector(s); e.value = v; e.dispatchEvent(new Event('change')); }"
_BOX = """s => {
  const e = document.querySelector(s);
  e.scrollIntoView({block: 'center', behavior: 'instant'});
  const b = e.getBoundingClientRect();
  return [b.left, b.top, b.width, b.height];
}"""
_CLIP = """s => {
  const b = (s ? document.querySelector(s) : document.documentElement).getBoundingClientRect();
  return {x: b.left + scrollX, y: b.top + scrollY, width: b.width, height: b.height, scale: 1};
}"""


class Browser:
    """One page in one browser: go to a file, run scripts in it, take pictures.

    What the browser complained of is in `complaints`, what it asked for in `requests`.
    """

    def __init__(self, folder: Path, *, width: int = 1280, height: int = 900) -> None:
        assert CHROMIUM
        self.folder, self.complaints, self.requests = folder, [], []
        self._answers: dict[int, dict[str, Any]] = {}
        self._buffer, self._id = b"", 0
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        profile = folder / "profile"

        def attach() -> None:  # chromium reads commands from descriptor 3 and answers on 4
            os.dup2(to_read, 13), os.dup2(to_write, 14)
            os.dup2(13, 3), os.dup2(14, 4)

        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(
            command, preexec_fn=attach, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read), os.close(to_write)
        target = next(t for t in self._ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._page(f"{domain}.enable")
        self.size(width, height)
        self._page("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder / "downloads"))

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._read), os.close(self._write)

    def open(self, page: Path) -> None:
        """Go to a file and wait until its script is done."""
        self._page("Page.navigate", url=page.resolve().as_uri())
        self.wait("document.documentElement?.dataset.ready")

    def size(self, width: int, height: int) -> None:
        """Resize the page."""
        self._page("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def run(self, script: str) -> Any:
        """Value of an expression, awaited when it is a promise."""
        answer = self._page("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 90) -> Any:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.run(script):
                return value
            time.sleep(0.1)
        raise AssertionError(f"not true in {seconds} s: {script}; complaints: {self.complaints}")

    def click(self, selector: str) -> None:
        """Click the first element of a selector."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def choose(self, selector: str, value: str) -> None:
        """Choose an entry of a select."""
        self.run(f"({_CHOOSE})({json.dumps(selector)}, {json.dumps(value)})")

    def mouse(self, kind: str, x: float, y: float, *, held: bool = False) -> None:
        """Send a mouse event: mouseMoved, mousePressed or mouseReleased."""
        pressed = {"button": "left", "buttons": 1, "clickCount": 1} if held or kind != "mouseMoved" else {}
        self._page("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element brought into sight."""
        return tuple(self.run(f"({_BOX})({json.dumps(selector)})"))

    def picture(self, path: Path, selector: str | None = None) -> Path:
        """Take a picture of the whole page, or of one element."""
        area = self.run(f"({_CLIP})({json.dumps(selector)})")
        answer = self._page("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=area)
        path.write_bytes(base64.b64decode(answer["data"]))
        return path

    def downloaded(self, suffix: str, seconds: float = 30) -> Path:
        """The newest finished download with a suffix: the browser reserves its name by an empty file."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [path for path in (self.folder / "downloads").glob(f"*{suffix}") if path.stat().st_size]
            if found:
                return max(found, key=lambda path: path.stat().st_mtime_ns)
            time.sleep(0.1)
        raise AssertionError(f"no download ending in {suffix}")

    def _page(self, method: str, **params: Any) -> dict[str, Any]:
        return self._ask(method, self._session, **params)

    def _ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._id += 1
        message = {"id": self._id, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        wanted, end = self._id, time.monotonic() + 120
        while wanted not in self._answers:
            for event in self._receive(end):
                if "id" in event:
                    self._answers[event["id"]] = event
                else:
                    self._note(event)
        answer = self._answers.pop(wanted)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _receive(self, end: float) -> Sequence[dict[str, Any]]:
        ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"the browser does not answer (exit {self._process.poll()})"
        self._buffer += os.read(self._read, 1 << 20)
        *whole, self._buffer = self._buffer.split(b"\0")
        return [json.loads(part) for part in whole]

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
