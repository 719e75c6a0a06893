"""A compiled function of a batch of windows, in as few parts as its memory asks for.

Like `memory` and `chunked`, this module may be imported anywhere.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import jax

from ligo_cpc_snn.memory import (
    Fitted,
    OutOfMemoryError,
    is_out_of_memory,
    is_sound,
    largest_that_fits,
)

log = logging.getLogger(__name__)


class InParts:
    """A function of a batch, compiled for as few parts as fit its room.

    Should there be no memory all the same, it is compiled for parts of half the size and called
    again; what it is given must not be donated.

    Args:
        name: of the function, for the log.
        build: returns the function that takes its batch in so many parts, not compiled.
        arguments: arrays or shapes as it will be called with.
        sizes: windows of a part, to choose from; the largest is the batch.
        room_bytes: for the program beside its arguments; None: as much as it takes.
        compile_measured: compiles a jitted function and tells the bytes it takes.
        jit: of the function.
        recovers: whether it is called again; not where other processes would not know of it.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[int], Callable[..., Any]],
        arguments: Sequence[Any],
        *,
        sizes: Sequence[int],
        room_bytes: int | None,
        compile_measured: Callable[..., tuple[Any, int]],
        jit: Callable[..., Any] = jax.jit,
        recovers: bool = True,
    ) -> None:
        self.name, self._sizes, self._recovers = name, sorted(sizes), recovers
        batch, shapes = self._sizes[-1], jax.tree.map(shape_of, tuple(arguments))

        def compile_at(size: int) -> tuple[Any, int]:
            return compile_measured(name, jit(build(-(-batch // size))), *shapes)

        self._compile_at = compile_at
        if room_bytes is None:
            self._fitted = Fitted(batch, *compile_at(batch))
        else:
            self._fitted = largest_that_fits(compile_at, self._sizes, room_bytes)

    @property
    def size(self) -> int:
        """Windows of a part."""
        return self._fitted.size

    @property
    def needed_bytes(self) -> int:
        """Bytes that the program takes beside its arguments."""
        return self._fitted.needed_bytes

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function returns.

        Raises:
            OutOfMemoryError: a single window at a time found no memory.
        """
        while True:
            try:
                # Waited for: a lack of memory may be told no sooner than that.
                return jax.block_until_ready(self._fitted.program(*arguments))
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if not (self._recovers and is_out_of_memory(error) and is_sound(arguments)):
                    raise
                self._halve(error)

    def _halve(self, error: Exception) -> None:
        half = max((s for s in self._sizes if s <= self.size // 2), default=0)
        if not half:
            raise OutOfMemoryError(
                f"{self.name}: out of memory with a single window at a time: {error}"
            ) from error
        log.warning("%s: out of memory, %d windows at a time from now on", self.name, half)
        with jax.transfer_guard("allow"):
            self._fitted = Fitted(half, *self._compile_at(half))


def shape_of(array: Any) -> jax.ShapeDtypeStruct:
    """Return shape and type of an array, to compile for."""
    return jax.ShapeDtypeStruct(array.shape, array.dtype)
