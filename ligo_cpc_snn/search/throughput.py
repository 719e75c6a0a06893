"""How fast strain is searched: strain, wall clock and CPU time, stage by stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ligo_cpc_snn.stages import stage


class Throughput(NamedTuple):
    """Strain searched, and what it took; compilation and what the caller did are not counted.

    CPU times are summed over all threads. `read_cpu_seconds` is what the segments' iterator
    took: reading of files, where it reads them.
    """

    strain_seconds: float
    wall_seconds: float
    read_cpu_seconds: float
    whiten_cpu_seconds: float
    network_cpu_seconds: float
    compile_seconds: float

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all stages, s."""
        return self.read_cpu_seconds + self.whiten_cpu_seconds + self.network_cpu_seconds

    @property
    def hours_per_minute(self) -> float:
        """Hours of strain (of all detectors together) per minute on the wall clock."""
        return self.strain_seconds / max(self.wall_seconds, 1e-9) / 60

    @property
    def times_real_time(self) -> float:
        """Seconds of strain per second on the wall clock."""
        return self.strain_seconds / max(self.wall_seconds, 1e-9)

    @property
    def times_real_time_per_core(self) -> float:
        """Seconds of strain per second of CPU time."""
        return self.strain_seconds / max(self.cpu_seconds, 1e-9)


class Meter:
    """Adds up what the stages of a search take.

    The background thread counts its own CPU time; the rest of the process's, while the network
    runs, is the network's. What is under way when the network stops is counted a moment later.
    """

    def __init__(self) -> None:
        self.strain = self.wall = self.read = self.whiten = self.network = self.compile = 0.0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count what this thread does as reading."""
        began = time.thread_time()
        try:
            with stage("read"):
                yield
        finally:
            self.read += time.thread_time() - began

    @contextmanager
    def whitening(self) -> Iterator[None]:
        """Count what this thread does as whitening."""
        began = time.thread_time()
        try:
            with stage("whiten"):
                yield
        finally:
            self.whiten += time.thread_time() - began

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Count the wall clock, and the CPU time that is not the background's as the network's."""
        wall, cpu = time.perf_counter(), self._foreground()
        try:
            with stage("chunk"):
                yield
        finally:
            self.wall += time.perf_counter() - wall
            self.network += self._foreground() - cpu

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Take compilation, inside of `searching`, out of what is counted."""
        wall, cpu = time.perf_counter(), self._foreground()
        try:
            with stage("compile network"):
                yield
        finally:
            spent = time.perf_counter() - wall
            self.compile += spent
            self.wall -= spent
            self.network -= self._foreground() - cpu

    def throughput(self) -> Throughput:
        """Return what was counted so far."""
        return Throughput(
            self.strain, self.wall, self.read, self.whiten, self.network, self.compile
        )

    def _foreground(self) -> float:
        return time.process_time() - self.read - self.whiten
