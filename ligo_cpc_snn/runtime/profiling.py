"""A recorder of stages: when each ran, how long, with how much memory, in which thread."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import jax

from ligo_cpc_snn.runtime.profiling_memory import MemorySampler
from ligo_cpc_snn.runtime.profiling_programs import Programs

Path = tuple[str, ...]  # names of the stages that lie around one, and its own

SPANS_KEPT = 5000  # for the flame chart; the sums go on


@dataclass
class Span:
    """One run of a stage; times in s since the recorder began, memory in bytes."""

    path: Path
    thread: str
    begin: float
    seconds: float = 0.0
    resident_peak: int = 0
    device_peak: int = 0


@dataclass
class Total:
    """All runs of a stage at one place: sums, and the highest memory seen."""

    calls: int = 0
    seconds: float = 0.0
    self_seconds: float = 0.0  # without the stages inside it
    cpu_seconds: float = 0.0  # of all threads of the process meanwhile
    resident_peak: int = 0
    resident_growth: int = 0  # from begin to end, summed over the calls
    device_peak: int = 0


@dataclass
class _Open:
    """A stage under way."""

    span: Span
    cpu: float
    resident: int
    inside: float = 0.0  # s of the stages inside it, done


@dataclass
class Recorder:
    """An observer of `ligo_cpc_snn.stages` that measures; use it as a context manager.

    Args:
        programs: what it does with compiled programs.
        sampler: of memory; its peaks are those of the moments it looks at.
    """

    programs: Programs
    sampler: MemorySampler = field(default_factory=MemorySampler)
    spans: list[Span] = field(default_factory=list)
    totals: dict[Path, Total] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin = time.perf_counter()
        self._lock = threading.Lock()
        self._stacks: dict[int, list[_Open]] = {}

    def __enter__(self) -> "Recorder":
        self._begin = time.perf_counter()
        self.sampler.begin(self._seen, self._now)
        self.programs.begin(self.stage)
        return self

    def __exit__(self, *error: object) -> None:
        self.programs.end()
        self.sampler.end()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        opened = self._open(name)
        try:
            with jax.profiler.TraceAnnotation(name):
                yield
        finally:
            self._close(opened)

    def program(self, name: str, compiled: Any) -> Callable[..., Any]:
        """Return a program whose calls are stages, waited for."""
        return self.programs.watched(name, compiled)

    def _open(self, name: str) -> _Open:
        memory = self.sampler.look()
        with self._lock:
            stack = self._stacks.setdefault(threading.get_ident(), [])
            around = stack[-1].span.path if stack else ()
            span = Span((*around, name), threading.current_thread().name, self._now())
            opened = _Open(span, time.process_time(), memory.resident)
            stack.append(opened)
        self._seen(memory.resident, memory.device)
        return opened

    def _close(self, opened: _Open) -> None:
        memory = self.sampler.look()
        self._seen(memory.resident, memory.device)
        span = opened.span
        with self._lock:
            stack = self._stacks[threading.get_ident()]
            stack.remove(opened)
            span.seconds = self._now() - span.begin
            if stack:
                stack[-1].inside += span.seconds
            total = self.totals.setdefault(span.path, Total())
            total.calls += 1
            total.seconds += span.seconds
            total.self_seconds += span.seconds - opened.inside
            total.cpu_seconds += time.process_time() - opened.cpu
            total.resident_growth += memory.resident - opened.resident
            total.resident_peak = max(total.resident_peak, span.resident_peak)
            total.device_peak = max(total.device_peak, span.device_peak)
            if len(self.spans) < SPANS_KEPT:
                self.spans.append(span)

    def _seen(self, resident: int, device: int) -> None:
        """Raise the peaks of all stages under way, whatever their thread."""
        with self._lock:
            for stack in self._stacks.values():
                for opened in stack:
                    span = opened.span
                    span.resident_peak = max(span.resident_peak, resident)
                    span.device_peak = max(span.device_peak, device)

    def _now(self) -> float:
        return time.perf_counter() - self._begin

    def to_dict(self) -> dict[str, Any]:
        """Return everything measured as plain values; stages in the order they first began."""
        first: dict[Path, float] = {}
        for span in sorted(self.spans, key=lambda span: span.begin):
            first.setdefault(span.path, span.begin)
        order = sorted(self.totals, key=lambda path: first.get(path, float("inf")))
        return {
            "stages": [{"path": list(path), **asdict(self.totals[path])} for path in order],
            "spans": [asdict(span) for span in sorted(self.spans, key=lambda s: s.begin)],
            "memory": self.sampler.to_dict(),
            **self.programs.to_dict(),
        }
