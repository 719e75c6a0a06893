"""Names for the stages of the work, so that `ligo-profile` can say where time goes.

Like `rng` and `types`, this module may be imported anywhere: it imports nothing. Without an
observer a stage costs microseconds, and a program is returned as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Observer(Protocol):
    """Whoever wants to know of stages and of compiled programs."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Return a context that the stage of this name is done in."""

    def program(self, name: str, compiled: Any) -> Callable[..., Any]:
        """Return a compiled program, watched."""


_observer: Observer | None = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Give a name to what is done inside; as a decorator, to every call of a function.

    Args:
        name: such as ``banks``; stages may lie inside each other, and in several threads.
    """
    if _observer is None:
        yield
        return
    with _observer.stage(name):
        yield


def program(name: str, compiled: Any) -> Any:
    """Return a compiled program, watched if there is an observer.

    Args:
        name: such as ``finetune: training step``.
        compiled: what `jax.jit(f).lower(...).compile()` gives.
    """
    return compiled if _observer is None else _observer.program(name, compiled)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Tell an observer of all stages and programs until the block ends."""
    global _observer
    before, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = before
