"""How far a run is: a progress bar on a terminal, log lines anywhere else."""

import logging
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

log = logging.getLogger(__name__)

LINE_SECONDS = 30.0  # between log lines where there is no terminal
REDRAWS_PER_SECOND = 4.0


class Throughput:
    """Examples per second and time left, from the latest steps only.

    Args:
        batch_size: examples per step.
        window: number of `update`s looked back on.
    """

    def __init__(self, batch_size: int, window: int = 200) -> None:
        self.batch_size = batch_size
        self._marks: deque[tuple[int, float]] = deque(maxlen=window)  # step, monotonic s

    def update(self, step: int, now: float) -> None:
        """Note that `step` steps are done at `now` (s, any origin)."""
        self._marks.append((step, now))

    @property
    def steps_per_second(self) -> float | None:
        """None until two different steps and times are known."""
        if not self._marks:
            return None
        (first, then), (last, now) = self._marks[0], self._marks[-1]
        return (last - first) / (now - then) if last > first and now > then else None

    @property
    def examples_per_second(self) -> float | None:
        """None until two different steps and times are known."""
        rate = self.steps_per_second
        return None if rate is None else rate * self.batch_size

    def seconds_left(self, steps: int) -> float | None:
        """Return the time that `steps` more steps take, s."""
        rate = self.steps_per_second
        return None if rate is None else steps / rate


class TrainingProgress:
    """Shows phase, step, loss, examples per second and time left.

    Args:
        total_steps: of all phases.
        batch_size: examples per step.
        enabled: False shows nothing; a bar is drawn only where `console` is a terminal.
        console: shared with the log handler, so that log lines appear above the bar.
    """

    def __init__(
        self,
        total_steps: int,
        batch_size: int,
        *,
        enabled: bool = True,
        console: Console | None = None,
    ) -> None:
        self.total_steps, self.enabled = total_steps, enabled
        self.throughput = Throughput(batch_size)
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._loss: float | None = None
        self._phase = ""
        self._shown = 0.0  # monotonic s

    def __enter__(self) -> "TrainingProgress":
        if self.enabled and self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeElapsedColumn(),
            )
            self._bar = Progress(
                *columns, console=self._console, refresh_per_second=REDRAWS_PER_SECOND
            )
            self._bar.add_task("starting", total=self.total_steps, numbers="")
            self._bar.start()
        return self

    def update(self, step: int, phase: str, metrics: Mapping[str, float]) -> None:
        """Note that `step` steps are done; cheap enough to be called after each.

        Args:
            step: updates applied since the run began, not since it was resumed.
            phase: name of the phase.
            metrics: `loss` is shown until the next comes; empty between logging intervals.
        """
        now = time.monotonic()
        self.throughput.update(step, now)
        new_phase, self._phase = phase != self._phase, phase
        self._loss = metrics.get("loss", None if new_phase else self._loss)
        interval = 1 / REDRAWS_PER_SECOND if self._bar else LINE_SECONDS
        # The last step's numbers come by a second call: they get the line.
        last = step == self.total_steps and (self._bar is not None or bool(metrics))
        if self.enabled and (new_phase or last or now - self._shown > interval):
            self._shown = now
            self._show(step)

    def _show(self, step: int) -> None:
        numbers = self._numbers(step)
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=step, description=self._phase, numbers=numbers)
        else:
            place = f"{self._phase}: step {step} of {self.total_steps}"
            log.info("%s", ", ".join(part for part in (place, numbers) if part))

    def _numbers(self, step: int) -> str:
        rate = self.throughput.examples_per_second
        left = self.throughput.seconds_left(self.total_steps - step)
        parts = [
            "" if self._loss is None else f"loss {self._loss:.4g}",
            ""
            if rate is None
            else f"{rate:.3g} examples/s"
            if rate < 1000
            else f"{rate:,.0f} examples/s",
            "" if left is None else f"{clock(left)} left",
        ]
        return ", ".join(part for part in parts if part)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
