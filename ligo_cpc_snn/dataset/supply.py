"""Which training bank a step draws from, while the next one is made in the background.

Generation g serves the steps from g N on, whatever the timing: the loop waits where it is
not ready. It is made by one thread during the steps of g - 1, in parts: each part waits until
the steps have come as far, so that the work is spread evenly and no step is starved. A
waiting loop lets it run freely.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ligo_cpc_snn.types import StopRequest

log = logging.getLogger(__name__)

Pace = Callable[[float], None]  # told the done fraction between parts; may wait
Banks = Any  # on the device

SPREAD = 0.9  # of a generation's steps, over which the next is made
POLL_SECONDS = 0.1  # how often a waiting loop looks whether it shall stop


class _ClosedError(Exception):
    """The supply was closed while a bank was being made."""


def at_once(done: float) -> None:
    """Do not wait between the parts of a bank."""


def as_made(generation: int, banks: Banks) -> Banks:
    """Return banks that need no exchange."""
    return banks


class FixedSupply:
    """The same banks at every step."""

    def __init__(self, banks: Banks) -> None:
        self.banks = banks

    def at(self, step: int, stop: StopRequest) -> Banks | None:
        """Return the banks."""
        return self.banks

    def changes_at(self, step: int) -> int | None:
        """Return None: the banks stay."""
        return None

    def renews_noise(self, step: int) -> bool:
        """Return False: it stays."""
        return False

    def close(self) -> None:
        """Do nothing."""


class RefreshedSupply:
    """Banks of generation `step // every`, the next one always in the making.

    Args:
        make: `(generation, pace) -> banks on the device`; calls `pace(done)` between parts.
        every: steps that a generation serves.
        first: generation to begin with, made before this returns.
        last_step: no generation is made for steps from here on.
        noise: whether a generation has other noise than the one before.
        finish: `(generation, made) -> banks on the device`, called in the main thread when a
            generation begins to serve: processes that make it in shares exchange them there.
    """

    def __init__(
        self,
        make: Callable[[int, Pace], Banks],
        every: int,
        *,
        first: int = 0,
        last_step: int | None = None,
        noise: bool = False,
        finish: Callable[[int, Any], Banks] = as_made,
    ) -> None:
        self._finish = finish
        self._make, self._every, self._noise, self._last = make, every, noise, last_step
        self._changed = threading.Condition()
        self._step, self._waiting, self._closed = first * every, False, False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="supply")
        self._generation, self.banks = first, finish(first, make(first, at_once))
        self._next: tuple[int, Future[Any]] | None = None

    def at(self, step: int, stop: StopRequest) -> Banks | None:
        """Return the banks of a step, or None when asked to stop while they are made.

        Raises:
            Exception: whatever making the next banks raised, as soon as it did.
        """
        generation = step // self._every
        self._tell(step=step)
        if generation != self._generation:
            banks = self._wait_for(generation, stop)
            if banks is None:
                return None
            self._generation, self._next = generation, None
            self.banks = self._finish(generation, banks)
        self._prepare(generation + 1)
        return self.banks

    def changes_at(self, step: int) -> int | None:
        """Return the first step after `step` that has other banks."""
        return (step // self._every + 1) * self._every

    def renews_noise(self, step: int) -> bool:
        """Return whether the noise of this step is other than that of the step before."""
        return self._noise and step > 0 and step % self._every == 0

    def close(self) -> None:
        """End the thread; a bank in the making is given up at its next part."""
        self._tell(closed=True)
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._next is None or self._next[1].cancelled():
            return
        error = self._next[1].exception()
        if error is not None and not isinstance(error, _ClosedError):
            log.warning("the next training banks, no longer needed, failed: %r", error)

    def _prepare(self, generation: int) -> None:
        """Have a generation made, unless it is or nobody will ask for it."""
        if self._next is not None:
            if self._next[1].done():
                self._next[1].result()  # raises what the thread raised
            return
        if self._last is None or generation * self._every < self._last:
            self._next = generation, self._executor.submit(self._make_noting, generation)

    def _make_noting(self, generation: int) -> Banks:
        try:
            return self._make(generation, lambda done: self._pace(generation, done))
        except Exception as error:
            error.add_note(f"while the training banks of generation {generation} were made")
            raise

    def _pace(self, generation: int, done: float) -> None:
        """Wait until the steps have come as far as the work, or the loop waits for it."""
        due = (generation - 1) * self._every + SPREAD * done * (self._every - 1)

        def may_go_on() -> bool:
            return self._closed or self._waiting or self._step >= due

        with self._changed:
            self._changed.wait_for(may_go_on)
            if self._closed:
                raise _ClosedError

    def _tell(self, **facts: Any) -> None:
        with self._changed:
            for name, value in facts.items():
                setattr(self, f"_{name}", value)
            self._changed.notify_all()

    def _wait_for(self, generation: int, stop: StopRequest) -> Banks | None:
        begun = time.monotonic()
        self._tell(waiting=True)
        try:
            future = self._future_of(generation)
            while not _finished(future):
                if stop.requested:
                    return None
            banks = future.result()
        finally:
            self._tell(waiting=False)
        if (waited := time.monotonic() - begun) > POLL_SECONDS:
            log.info("waited %.1f s for the banks of generation %d", waited, generation)
        return banks

    def _future_of(self, generation: int) -> "Future[Any]":
        if self._next is None or self._next[0] != generation:
            self._next = generation, self._executor.submit(self._make_noting, generation)
        return self._next[1]


def _finished(future: "Future[Any]") -> bool:
    try:
        future.exception(timeout=POLL_SECONDS)
    except TimeoutError:
        return False
    return True
