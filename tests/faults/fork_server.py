"""Starts commands as forks of itself, which has imported their packages; ends with its input.

Each line of its input asks, each of its output answers: `{"start": {...}}` a process number,
`{"ended": number}` an exit code, null while the process runs.
"""

import ctypes
import json
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import TextIO

import preloaded  # noqa: F401

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def main() -> None:
    """Answer until the input ends; a fork leaves this as a command of its own does."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            answer = _ended(asked["ended"])
        elif (answer := os.fork()) == 0:
            _become(**asked["start"], answers=answers)
            return
        print(json.dumps(answer), file=answers, flush=True)


def _ended(process: int) -> int | None:
    done, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _become(
    arguments: list[str],
    environment: dict[str, str],
    files: list[str],
    mounts_of: int | None,
    answers: TextIO,
) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if mounts_of is not None:
        _see_mounts(mounts_of)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.close(answers.fileno())
    os.environ.update(environment)
    sys.path[:0] = [x for x in environment.get("PYTHONPATH", "").split(":") if x]
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def _see_mounts(process: int) -> None:
    """Enter the namespaces of a process, as nsenter does; a fork has the one thread that needs."""
    libc, here = ctypes.CDLL(None, use_errno=True), Path.cwd()
    spaces = [os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY) for name in ("user", "mnt")]
    for space in spaces:
        if libc.setns(space, 0):
            raise OSError(ctypes.get_errno(), f"cannot enter the namespaces of {process}")
        os.close(space)
    os.chdir(here)


if __name__ == "__main__":
    main()
