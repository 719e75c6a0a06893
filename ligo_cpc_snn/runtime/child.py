"""Code tried in a process of its own: whatever it does, this process goes on."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a child process ended."""

    output: str
    failure: str  # empty: exit code 0
    seconds: float
    late: bool = False  # it was killed at the limit: it may hang, or only be slow


def run_child(code: str, variables: Mapping[str, str], seconds: float) -> Ended:
    """Run Python code in a child process.

    Args:
        code: of the child.
        variables: its whole environment.
        seconds: after which it is killed.

    Returns:
        What it wrote to standard output; for a failure the line of standard error that says
        most: XLA's complaint about a flag, else the last one.
    """
    begun = time.monotonic()
    try:
        child = subprocess.run(
            [sys.executable, "-c", code],
            env=dict(variables),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else ""
        told = f"no answer within {seconds:g} s"
        return Ended(said, told, time.monotonic() - begun, late=True)
    failure = "" if child.returncode == 0 else _failure(child.returncode, child.stderr)
    return Ended(child.stdout, failure, time.monotonic() - begun)


def _failure(code: int, written: str) -> str:
    lines = [line.strip() for line in written.splitlines() if line.strip()]
    fatal = [line for line in lines if "Unknown flag" in line]
    said = (fatal or lines[-1:] or [""])[0]
    if code >= 0:
        return said or f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        name = f"signal {-code}"
    return f"ended by {name}{f', last words: {said}' if said else ''}"
