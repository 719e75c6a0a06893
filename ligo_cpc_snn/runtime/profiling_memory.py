"""Memory while something runs: of the process, of the device, and what was swapped."""

import threading
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import psutil

_PROCESS = psutil.Process()

PERIOD_SECONDS = 0.01
# The process's own swap costs milliseconds to ask for: once in so many looks.
LOOKS_PER_SWAP = 100
SAMPLES_KEPT = 2000  # of the memory over time: beyond it every other one is dropped
# Pages of the whole machine that moved meanwhile; less is what other programs always do.
LEAST_SWAP_BYTES = 16_000_000


class Memory(NamedTuple):
    """Bytes in use: resident in the process, and on a device with memory of its own (else 0)."""

    resident: int
    device: int


class Swap(NamedTuple):
    """Bytes: the process's own pages in swap, and all that the machine moved since its start."""

    own: int
    moved: int


def read_memory() -> Memory:
    """Return what is in use now."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return Memory(_PROCESS.memory_info().rss, int(stats.get("bytes_in_use", 0)))


def read_swap() -> Swap:
    """Return the swap use; a number that this system does not tell is 0."""
    own = getattr(_PROCESS.memory_full_info(), "swap", 0)  # Linux alone has it
    with warnings.catch_warnings():
        # In a container without /proc/vmstat psutil warns and says 0, which is what is wanted.
        warnings.simplefilter("ignore", RuntimeWarning)
        machine = psutil.swap_memory()
    return Swap(int(own), int(machine.sin + machine.sout))


class MemorySampler:
    """Looks at memory every hundredth of a second, in a thread of its own.

    Args:
        period: seconds between looks; what rises and falls between two is not seen.
        memory, swap: how the numbers are read.
    """

    def __init__(
        self,
        period: float = PERIOD_SECONDS,
        memory: Callable[[], Memory] = read_memory,
        swap: Callable[[], Swap] = read_swap,
    ) -> None:
        self.period, self.look, self._swap = period, memory, swap
        self.peak = Memory(0, 0)
        self.samples: list[tuple[float, int, int]] = []  # s, resident and device bytes
        self._stride = 1  # looks per sample
        self._first = self._most = Swap(0, 0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, seen: Callable[[int, int], None], now: Callable[[], float]) -> None:
        """Begin to look; `seen` is told of each (resident, device) in bytes, `now` is the clock."""
        self._first = self._most = self._swap()
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._run, args=(seen, now), name="memory sampler", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._look_at_swap()

    def _run(self, seen: Callable[[int, int], None], clock: Callable[[], float]) -> None:
        looks = 0
        while not self._stop.wait(self.period):
            now = self.look()
            self.peak = Memory(*map(max, self.peak, now))
            seen(*now)
            if looks % self._stride == 0:
                self._keep(clock(), now)
            looks += 1
            if looks % LOOKS_PER_SWAP == 0:
                self._look_at_swap()

    def _keep(self, when: float, now: Memory) -> None:
        self.samples.append((when, *now))
        if len(self.samples) > SAMPLES_KEPT:
            self.samples = self.samples[::2]
            self._stride *= 2

    def _look_at_swap(self) -> None:
        self._most = Swap(*map(max, self._most, self._swap()))

    def warnings(self) -> list[str]:
        """Return what is to be said of swap, if it was used."""
        own, moved = (most - first for most, first in zip(self._most, self._first, strict=True))
        remedy = (
            "times are those of the disk: lower runtime.memory_fraction or runtime.host_memory_gb, "
            "a bank or a batch, or close other programs"
        )
        if own > 0:
            return [f"{own / 1e6:.0f} MB of this process went to swap; {remedy}"]
        if moved > LEAST_SWAP_BYTES:
            return [f"the machine moved {moved / 1e6:.0f} MB to or from swap meanwhile; {remedy}"]
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return peaks and swap in bytes."""
        return {
            "resident_peak": self.peak.resident,
            "device_peak": self.peak.device,
            "sampled_every_seconds": self.period,
            "samples": [list(sample) for sample in self.samples],
            "swapped_own": self._most.own - self._first.own,
            "swap_moved": self._most.moved - self._first.moved,
        }
