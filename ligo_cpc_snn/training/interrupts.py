"""Asking a run to end: the loop finishes its step, saves and leaves."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from ligo_cpc_snn.stopping import Insistence

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = "stopping when the step or stage under way is done, steps made are saved"
LEAVING = "stopping; a program that is being compiled is compiled first"


class Interrupts:
    """While this context is open, SIGTERM and Ctrl-C set `requested`; `leaving` does more.

    A second Ctrl-C kills the process at once. Handlers found at the start are put back at
    the end. Only a process's main thread may handle signals; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None  # the first that came
        self._presses, self._leaving = 0, False
        self._insistence = Insistence()
        self._before: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal asked the run to end."""
        return self.signal is not None

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """While this context is open, where nothing needs saving, a signal ends it at once.

        Raises:
            KeyboardInterrupt: from wherever the signal finds the main thread.
        """
        with Insistence() as self._insistence:
            self._leaving = True
            try:
                self._leave_if_asked()  # before this was opened
                yield
                self._leave_if_asked()
            finally:
                self._leaving = False

    def _leave_if_asked(self) -> None:
        if self.requested:
            raise KeyboardInterrupt

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is not threading.main_thread():
            log.info("not in the main thread: SIGTERM and Ctrl-C keep their usual meaning")
            return self
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._presses += number == signal.SIGINT and not self._insistence.repeated()
        if self._presses > 1:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        if self.signal is None:
            self.signal = signal.Signals(number)
            # The handler may have interrupted a log call: write past logging and its streams.
            name, how = self.signal.name, LEAVING if self._leaving else STOPPING
            os.write(2, f"\n{name}: {how}; Ctrl-C again kills\n".encode())
        if self._leaving:
            raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # None: set by something other than Python, which cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
