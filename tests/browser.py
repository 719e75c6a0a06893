"""Headless Chromium for the tests of pages, spoken to over a pipe: no driver is needed.

Chromium reads commands of its DevTools protocol on file descriptor 3 and answers on 4, each
message ended by a zero byte: https://chromedevtools.github.io/devtools-protocol.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_SECONDS = 120.0  # of a loaded machine; a page takes one
# Gives the pipes the numbers that Chromium expects, and becomes Chromium: a shell may know
# numbers of one digit only, and Python may not run between fork and exec beside JAX's threads.
LAUNCH = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the browser's path, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a headless browser, with what it complained about in `errors`."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._buffer, self._number = to, back, b"", 0
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + WAIT_SECONDS
        while True:
            answer = self._read(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self._note(answer)

    def _read(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._back], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser did not answer within {WAIT_SECONDS:g} s"
            part = os.read(self._back, 1 << 20)
            assert part, "the browser ended"
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(told["exceptionDetails"])[:2000])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.errors.append(json.dumps(told["args"])[:2000])
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.errors.append(json.dumps(told["entry"])[:2000])
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])

    def look(self, width: int = 1100, height: int = 900, *, dark: bool = False) -> None:
        """Set size and theme; a narrow page is that of a phone."""
        phone = width < 640
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path) -> None:
        """Open a file and wait until its figures are drawn."""
        self.errors.clear()
        self.requests.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        until = time.monotonic() + WAIT_SECONDS
        place = path.resolve().as_uri()
        while self.run(f"location.href === '{place}' && document.documentElement?.dataset.figures"
                       " || ''") == "":  # fmt: skip
            assert time.monotonic() < until, f"{path} was not drawn within {WAIT_SECONDS:g} s"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page, awaited."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def click(self, selector: str, number: int = 0) -> None:
        """Press and release the mouse in the middle of an element."""
        self.drag(selector, (0.5, 0.5), (0.5, 0.5), number)

    def drag(
        self,
        selector: str,
        start: tuple[float, float],
        end: tuple[float, float],
        number: int = 0,
    ) -> None:
        """Press the mouse in an element and release it elsewhere; places are fractions of it."""
        x, y, width, height = self.run(
            f"(() => {{ const e = document.querySelectorAll('{selector}')[{number}];"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x, r.y, r.width, r.height]; })()"
        )
        moved = [("mouseMoved", end, 1)] if end != start else []
        for kind, (right, down), buttons in (
            ("mouseMoved", start, 0),
            ("mousePressed", start, 1),
            *moved,
            ("mouseReleased", end, 0),
        ):
            self.send(
                "Input.dispatchMouseEvent",
                type=kind, x=x + right * width, y=y + down * height,
                button="left", buttons=buttons, clickCount=1,
            )  # fmt: skip

    def picture(self, path: Path) -> Path:
        """Save a picture of the whole page."""
        made = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(made["data"]))
        return path


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start the browser with a profile folder of its own, and end it."""
    path = chromium()
    assert path is not None
    inward, to = os.pipe()
    back, outward = os.pipe()
    command = (
        sys.executable, "-c", LAUNCH, str(inward), str(outward), path,
        "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
        f"--user-data-dir={profile}", "--no-first-run", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-extensions",
    )  # fmt: skip
    process = subprocess.Popen(
        command, pass_fds=(inward, outward),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(inward)
    os.close(outward)
    try:
        yield Browser(to, back)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to)
        os.close(back)
