"""A front end in a process of its own: its program may be damaged or hostile, this process goes on.

Not only its reading: a program that MLIR takes can still end XLA's compiler or run for ever.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Sequence
from typing import IO, Any

import jax
import numpy as np
from jaxtyping import Shaped

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.front_end_messages import (
    BrokenMessageError,
    Message,
    receive,
    send,
)

LOAD_SECONDS = 120.0  # to import JAX and read a program: 2 s, 24 s were seen on a busy machine
RUN_SECONDS = 1200.0  # to compile it for a length and run it: seconds, minutes on a small CPU
REMEDY = "use a folder that ligo-export wrote"
# The child finds what this process finds, and loads no plug-in that was set aside here.
_CODE = """
import sys, types
sys.path[:] = {path!r}
for name in {absent!r}:
    sys.modules[name] = types.SimpleNamespace(initialize=lambda: None)
from ligo_cpc_snn.exporting.front_end_child import main
main()
"""

Signature = Sequence[tuple[Sequence[str], str]]


class FrontEndProcess:
    """A program that was loaded in a child process, called as its chunk function."""

    def __init__(self) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (`end` closes it)
        self._child = subprocess.Popen(
            [sys.executable, "-c", _code()],
            env=_variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
        )
        self.end = weakref.finalize(self, _end, self._child, self._words)

    @property
    def alive(self) -> bool:
        """Whether it takes a program or arrays."""
        return self.end.alive

    def load(self, program: bytes, inputs: Signature, outputs: Signature) -> None:
        """Let the child read a program and look for what it must not have.

        Args:
            program: That `jax.export` serialised.
            inputs, outputs: The shape and the type of each array it must take and return.

        Raises:
            ExportError: the program cannot be read, or has what it must not have.
        """
        asked = {"do": "load", "inputs": inputs, "outputs": outputs}
        self._ask("read", asked, [np.frombuffer(program, np.uint8)], LOAD_SECONDS)

    def __call__(self, *arrays: Any) -> list[Shaped[np.ndarray, "..."]]:
        """Return what the program makes of arrays.

        Raises:
            ExportError: it failed, ended its process, or took too long.
        """
        return self._ask("run", {"do": "run"}, arrays, RUN_SECONDS)[1]

    def _ask(
        self, doing: str, head: dict[str, Any], arrays: Sequence[Any], seconds: float
    ) -> Message:
        """Return the child's answer within a time; `doing` is told where there is none."""
        if not self.alive:
            raise ExportError("the front end's process has ended: load the front end again")
        late = threading.Event()
        timer = threading.Timer(seconds, _give_up, [self._child, late])
        timer.start()
        try:
            answer = self._exchange(head, arrays)
        except BaseException:  # Ctrl-C: its answer would be taken for that of the next question
            self.end()
            raise
        finally:
            timer.cancel()
        if answer is None or late.is_set():
            why = f"no answer within {seconds:g} s" if late.is_set() else self._how_it_ended()
            self.end()
            raise ExportError(f"the front end cannot be {doing} ({why}): {REMEDY}")
        if "failed" in answer[0]:
            why = _one_line(answer[0]["failed"])
            raise ExportError(f"the front end cannot be {doing} ({why}): {REMEDY}")
        if "refused" in answer[0]:
            raise ExportError(f"the front end {_one_line(answer[0]['refused'], 1000)}: {REMEDY}")
        return answer

    def _exchange(self, head: dict[str, Any], arrays: Sequence[Any]) -> Message | None:
        """Return the child's answer, None where it has ended."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            send(self._child.stdin, head, arrays)
            return receive(self._child.stdout)
        except (OSError, BrokenMessageError):  # a broken pipe, half an answer
            return None

    def _how_it_ended(self) -> str:
        """Return by what a child ended that gave no answer."""
        try:
            code = self._child.wait(3)
        except subprocess.TimeoutExpired:
            return "its process answers what is no answer"
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:  # a real-time signal has no name
                name = f"signal {-code}"
            memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
            return f"its process ended by {name}{memory}"
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with exit code {code}: {_one_line((lines or ['no word'])[-1])}"


def _one_line(text: Any, most: int = 200) -> str:
    """Return a text of somebody else's as a piece of a line to print."""
    words = " ".join(str(text).split())
    return "".join(x if x.isprintable() else "?" for x in words)[:most]


def _code() -> str:
    stand_ins = [n for n, x in sys.modules.items() if isinstance(x, types.SimpleNamespace)]
    return _CODE.format(path=sys.path, absent=stand_ins)


def _variables() -> dict[str, str]:
    """Return the child's environment: the kind of device this process has, shared with it."""
    return os.environ | {
        "JAX_PLATFORMS": "cuda,cpu" if jax.default_backend() == "gpu" else "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # a foreign program leaves nothing behind
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def _give_up(child: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    late.set()
    child.kill()


def _end(child: "subprocess.Popen[bytes]", words: IO[bytes]) -> None:
    child.kill()
    child.wait()
    words.close()
    for pipe in (child.stdin, child.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:  # what was not yet written to a child that has gone
            continue
