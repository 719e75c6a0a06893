"""Ctrl-C that is heard: its exit code, and a KeyboardInterrupt that Python does not drop."""

import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

INTERRUPTED = 130  # the shell's exit code for Ctrl-C
AGAIN_SECONDS = 0.05


class Insistence:
    """While this context is open, a KeyboardInterrupt that Python drops is raised again.

    A signal's handler runs between any two instructions of the main thread. What it raises in a
    destructor or in a callback of the garbage collector, of which JAX has one, is shown as
    ignored, and the work goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = self._again = False
        self._before: Callable[[Any], Any] = sys.unraisablehook

    def __enter__(self) -> "Insistence":
        self._before, self._open = sys.unraisablehook, True
        sys.unraisablehook = self._dropped
        return self

    def _dropped(self, unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._before(unraisable)
            return
        # From here it would be dropped, too.
        later = threading.Timer(AGAIN_SECONDS, self._deliver)
        later.daemon = True
        later.start()

    def _deliver(self) -> None:
        with self._lock:
            main = threading.main_thread().ident
            if self._open and main is not None:
                self._again = True
                signal.pthread_kill(main, signal.SIGINT)

    def repeated(self) -> bool:
        """Return whether the signal that a handler was called for is no new one; asked once."""
        again, self._again = self._again, False
        return again

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._lock:
                self._open = False
        finally:
            sys.unraisablehook = self._before


def stoppable(work: Callable[[], int], told: str = "stopped") -> int:
    """Return the exit code of a command's work; Ctrl-C ends it with a line.

    Args:
        work: in the main thread.
        told: the line.
    """
    try:
        with Insistence():
            return work()
    except KeyboardInterrupt:
        print(told, file=sys.stderr)
        return INTERRUPTED
