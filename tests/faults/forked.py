"""Commands as forks of a server that has imported their packages: kills hit work, not imports."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
POLL_SECONDS = 0.005


class Forked:
    """A process of a command, with the part of `subprocess.Popen` that the faults use.

    Args:
        arguments: module and its arguments.
        environment: added to this process's.
        mounts_of: process whose mounts it sees.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        mounts_of: int | None = None,
    ) -> None:
        self._files = []
        for _ in range(2):
            handle, path = tempfile.mkstemp(prefix="forked-")
            os.close(handle)
            self._files.append(Path(path))
        start = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "files": [str(path) for path in self._files],
            "mounts_of": mounts_of,
        }
        self.returncode: int | None = None  # negative after a signal
        self.pid: int = _ask(start=start)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = _ask(ended=self.pid)
        return self.returncode

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float = float("inf")) -> tuple[str, str]:
        """Wait for its end and return what it wrote.

        Raises:
            subprocess.TimeoutExpired: it did not end in time, s.
        """
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([f"fork {self.pid}"], timeout)
            time.sleep(POLL_SECONDS)
        out, err = (path.read_text() for path in self._files)
        for path in self._files:
            path.unlink()
        return out, err


def _ask(**question: Any) -> Any:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    print(json.dumps(question), file=server.stdin, flush=True)
    answer = server.stdout.readline()
    assert answer, f"the server of forks ended with {server.wait()}"
    return json.loads(answer)


@cache
def _server() -> "subprocess.Popen[str]":
    path = os.pathsep.join(x for x in (str(HERE), os.environ.get("PYTHONPATH")) if x)
    server = subprocess.Popen(
        [sys.executable, str(HERE / "fork_server.py")],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)  # its input ends, and it
    return server
