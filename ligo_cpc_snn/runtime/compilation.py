"""Compilation before the first step, and a count of compilations."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import jax
from jax import monitoring

from ligo_cpc_snn.memory import program_bytes
from ligo_cpc_snn.stages import program, stage

log = logging.getLogger(__name__)

# JAX's names: the first event is one run of the backend's compiler or one read of the
# persistent cache in its place, the second tells the two apart.
_COMPILED = "/jax/core/compile/backend_compile_duration"
_FROM_CACHE = "/jax/compilation_cache/cache_hits"


class CompilationCounter:
    """Count what JAX compiles inside a ``with`` block.

    ``total`` is the number of programs made, ``from_cache`` how many of them were
    read from the persistent cache instead of being compiled.
    """

    def __init__(self) -> None:
        self.total = 0
        self.from_cache = 0

    def __enter__(self) -> "CompilationCounter":
        monitoring.register_event_duration_secs_listener(self._on_duration)
        monitoring.register_event_listener(self._on_event)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        monitoring.unregister_event_duration_listener(self._on_duration)
        monitoring.unregister_event_listener(self._on_event)

    def _on_duration(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        self.total += event == _COMPILED

    def _on_event(self, event: str, **kwargs: str | int) -> None:
        self.from_cache += event == _FROM_CACHE


def compile_ahead(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Compile a jitted function for the given arguments and log how long it took.

    Args:
        name: of the function, for the log line.
        function: made by `jax.jit`; another callable is jitted here.
        arguments: arrays or shapes (`jax.ShapeDtypeStruct`) as it will be called with.

    Returns:
        The compiled function; it takes arguments of exactly these shapes and types.
    """
    return compile_measured(name, function, *arguments)[0]


def compile_measured(name: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Return what `compile_ahead` does, and the bytes it takes beside its arguments."""
    jitted = function if hasattr(function, "lower") else jax.jit(function)
    begin = time.perf_counter()
    with stage(f"compile {name}"), CompilationCounter() as counter:
        compiled = jitted.lower(*arguments).compile()
    seconds = time.perf_counter() - begin
    origin = "from the cache" if counter.from_cache else "compiled"
    log.info("%-28s %s in %.1f s", name, origin, seconds)
    return program(name, compiled), program_bytes(compiled)
