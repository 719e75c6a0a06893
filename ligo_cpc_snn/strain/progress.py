"""How far downloads are: a bar on a terminal, log lines anywhere else."""

import logging
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

log = logging.getLogger(__name__)

LINE_SECONDS = 15.0  # between log lines where there is no terminal
SAME_TOTAL = 0.01  # smaller changes of the guess are not shown


class DownloadProgress:
    """Counts files and bytes of several threads; shows rate and time left.

    The sizes of files that have not answered yet are guessed: the mean of the others.

    Args:
        files: How many there are.
        console: Standard error if None.
    """

    def __init__(self, files: int, console: Console | None = None) -> None:
        self.files, self.done = files, 0
        self._received: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        self._lock = threading.Lock()
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> "DownloadProgress":
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.add_task(self._words(), total=None)
            self._bar.start()
        return self

    def add(self, key: str, count: int, coming: int | None) -> None:
        """Note new bytes of a file and, at the start of an answer, how many are to come."""
        with self._lock:
            self._received[key] = self._received.get(key, 0) + count
            if coming is not None:
                self._expected[key] = self._received[key] + coming
            self._show()

    def finished(self) -> None:
        """Note that a file is done."""
        with self._lock:
            self.done += 1
            self._show(last=self.done == self.files)

    @property
    def received(self) -> int:
        """Bytes that have come, those that were thrown away too."""
        return sum(self._received.values())

    @property
    def total(self) -> int | None:
        """Bytes of all files, as far as they are known or can be guessed."""
        sizes = list(self._expected.values())
        return round(self.files * sum(sizes) / len(sizes)) if sizes else None

    def _show(self, last: bool = False) -> None:
        if self._bar is not None:
            task = self._bar.tasks[0]
            total = self.total
            if task.total and total and abs(total / task.total - 1) < SAME_TOTAL:
                total = None  # rich forgets the rate when the total changes
            self._bar.update(
                task.id, completed=self.received, total=total, description=self._words()
            )
        elif last or time.monotonic() - self._shown > LINE_SECONDS:
            self._shown = time.monotonic()
            log.info("%s, %s", self._words(), self._numbers())

    def _words(self) -> str:
        return f"GWOSC: {self.done} of {self.files} files"

    def _numbers(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-6)
        rate = self.received / seconds
        parts = [f"{self.received / 1e6:.1f} MB", f"{rate / 1e6:.2f} MB/s"]
        if self.total is not None and rate > 0 and self.done < self.files:
            parts.append(f"about {max(self.total - self.received, 0) / rate:.0f} s left")
        return ", ".join(parts)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
