"""Commands as forks of a server that has imported their packages: kills hit work, not imports."""

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Without "__main__" each fork would import the script that started it.
PRELOADED = ("__main__", "ligo_cpc_snn.strain.command_line", "ligo_cpc_snn.training.checkpoints")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(PRELOADED))


class Forked:
    """A process of a command, with the part of `subprocess.Popen` that the faults use.

    Args:
        arguments: module and its arguments.
        environment: added to this process's.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._files = [Path(tempfile.mkstemp(prefix="forked-")[1]) for _ in range(2)]
        self._process = FORKS.Process(
            target=_run, args=(list(arguments), dict(environment), self._files)
        )
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, negative after a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None and self.pid is not None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and return what it wrote."""
        self._process.join(timeout)
        out, err = (path.read_text() for path in self._files)
        for path in self._files:
            path.unlink()
        return out, err


def _run(arguments: list[str], environment: dict[str, str], files: list[Path]) -> None:
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.update(environment)
    sys.path[:0] = [x for x in environment.get("PYTHONPATH", "").split(":") if x]
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
