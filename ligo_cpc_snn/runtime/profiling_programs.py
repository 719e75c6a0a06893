"""Compiled programs while something is profiled: compile times, calls, memory, a trace of a few.

A watched program is waited for after each call: without that its time would be counted where
its result is first read. The wait costs the overlap of a step with the next one's dispatch.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
from jax import monitoring

from ligo_cpc_snn.runtime.profiling_trace import source_names

# JAX's names of what it does with a function before it runs, and what we call it.
_DURATIONS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace_seconds",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower_seconds",
    "/jax/core/compile/backend_compile_duration": "compile_seconds",
}
_COMPILED = "compile_seconds"
_FROM_CACHE = "/jax/compilation_cache/cache_hits"
WARM_UP_CALLS, TRACED_CALLS = 1, 5
WRITING = "profiler: begin or write the trace"


@dataclass
class Compilation:
    """What one function took before it could run, s; tracing includes the functions it calls."""

    programs: int = 0
    from_cache: int = 0
    trace_seconds: float = 0.0
    lower_seconds: float = 0.0
    compile_seconds: float = 0.0


@dataclass
class Program:
    """A watched program: what the compiler says of it, and the seconds of each call."""

    memory_bytes: dict[str, int]
    flops: float  # of a call, as XLA counts; loops' bodies are counted once
    bytes_accessed: float
    seconds: list[float] = field(default_factory=list)


class Programs:
    """Watches programs, and JAX's own events about compilation.

    Args:
        folder: of the trace.
        traced: whether a program of this name is one to trace; the first such is.
        calls: how many of its calls, after `WARM_UP_CALLS`.
    """

    def __init__(
        self, folder: Path, traced: Callable[[str], bool], calls: int = TRACED_CALLS
    ) -> None:
        self.folder, self.calls = folder, calls
        self.compiled: dict[str, Compilation] = {}
        self.programs: dict[str, Program] = {}
        self.sources: dict[str, str] = {}  # of the traced program: name of an operation -> where
        self.traced_name: str | None = None
        self._is_traced, self._tracing = traced, False
        self._local = threading.local()
        self._lock = threading.Lock()
        self._stage: Callable[[str], AbstractContextManager[None]] = _unnamed

    def begin(self, stage: Callable[[str], AbstractContextManager[None]]) -> None:
        """Begin to listen; `stage` names what is done."""
        self._stage = stage
        monitoring.register_event_duration_secs_listener(self._on_duration)
        monitoring.register_event_listener(self._on_event)

    def end(self) -> None:
        """Stop listening; a trace under way is written."""
        monitoring.unregister_event_duration_listener(self._on_duration)
        monitoring.unregister_event_listener(self._on_event)
        self._stop_trace()

    def watched(self, name: str, compiled: Any) -> "Watched":
        """Return the program, measured at each call."""
        return Watched(name, compiled, Program(_memory(compiled), *_costs(compiled)), self)

    def call(self, name: str, compiled: Any, program: Program, arguments: tuple[Any, ...]) -> Any:
        """Run a program, wait for it, and trace it when it is its turn."""
        done = len(program.seconds)
        if not done:
            self._enter(name, program)
        if self._to_trace(name) and done == WARM_UP_CALLS:
            self._start_trace(name, compiled)
        with self._stage(name):
            begun = time.perf_counter()
            result = jax.block_until_ready(compiled(*arguments))
            program.seconds.append(time.perf_counter() - begun)
        if name == self.traced_name and done + 1 == WARM_UP_CALLS + self.calls:
            self._stop_trace()
        return result

    def _enter(self, name: str, program: Program) -> None:
        """List a program at its first call: many are compiled only to see their memory."""
        with self._lock:
            same = sum(known == name or known.startswith(f"{name}, #") for known in self.programs)
            self.programs[f"{name}, #{same + 1}" if same else name] = program

    def _to_trace(self, name: str) -> bool:
        return self.calls > 0 and self.traced_name is None and self._is_traced(name)

    def _start_trace(self, name: str, compiled: Any) -> None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # else each Python call is an event
        with self._stage(WRITING):
            self.sources = source_names(compiled.as_text() or "")
            jax.profiler.start_trace(str(self.folder), profiler_options=options)
        self.traced_name, self._tracing = name, True

    def _stop_trace(self) -> None:
        if self._tracing:
            self._tracing = False
            with self._stage(WRITING):
                jax.profiler.stop_trace()

    def _on_event(self, event: str, **kwargs: str | int) -> None:
        if event == _FROM_CACHE:  # told just before the duration of reading it
            self._local.hit = True

    def _on_duration(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        kind = _DURATIONS.get(event)
        if kind is None:
            return
        name = str(kwargs.get("fun_name", "unnamed")).removeprefix("jit(").removesuffix(")")
        with self._lock:
            made = self.compiled.setdefault(name, Compilation())
            setattr(made, kind, getattr(made, kind) + duration_secs)
            if kind == _COMPILED:
                made.programs += 1
                made.from_cache += getattr(self._local, "hit", False)
                self._local.hit = False

    def to_dict(self) -> dict[str, Any]:
        """Return compile times by function (the slowest first) and calls by program."""
        slowest = sorted(self.compiled.items(), key=lambda x: -x[1].compile_seconds)
        return {
            "compilation": [
                {"function": name, **asdict(made)} for name, made in slowest if made.programs
            ],
            "programs": [{"name": name, **asdict(p)} for name, p in self.programs.items()],
        }


def _unnamed(name: str) -> AbstractContextManager[None]:
    return nullcontext()


class Watched:
    """A compiled program that is measured; what it is asked beside calls, the program answers."""

    def __init__(self, name: str, compiled: Any, program: Program, watcher: Programs) -> None:
        self._name, self._compiled, self._program, self._watcher = name, compiled, program, watcher

    def __call__(self, *arguments: Any) -> Any:
        return self._watcher.call(self._name, self._compiled, self._program, arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)


def _memory(compiled: Any) -> dict[str, int]:
    """Return the compiler's own account in bytes; empty where a backend gives none."""
    analysis = compiled.memory_analysis()
    names = {"argument_size_in_bytes": "arguments", "output_size_in_bytes": "outputs",
             "temp_size_in_bytes": "temporaries", "alias_size_in_bytes": "donated",
             "generated_code_size_in_bytes": "code"}  # fmt: skip
    return {short: int(getattr(analysis, long, 0)) for long, short in names.items()}


def _costs(compiled: Any) -> tuple[float, float]:
    """Return floating-point operations and bytes of a call; 0 where a backend gives none."""
    costs = compiled.cost_analysis() or {}
    return float(costs.get("flops", 0.0)), float(costs.get("bytes accessed", 0.0))
