"""A function to be timed, and how much of what it does."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Work(NamedTuple):
    """One way to do a piece of work.

    Args:
        run: does it; returns when it is done, or arrays of JAX, which are waited for.
        items: done by a call, in `unit`; 0: its time says all.
        unit: such as "s of strain".
    """

    run: Callable[[], Any]
    items: float = 0.0
    unit: str = ""
