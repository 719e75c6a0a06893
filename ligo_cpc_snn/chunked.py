"""A function of windows over more of them than the memory holds: in chunks, as if whole.

The size of a chunk is the largest whose compiled program, with its share of the windows, stays
within a budget. Should there be no memory all the same, chunks of half the size go on.
Like `memory`, this module may be imported anywhere.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ligo_cpc_snn.memory import (
    Fitted,
    OutOfMemoryError,
    is_out_of_memory,
    largest_that_fits,
    program_bytes,
    tree_bytes,
)

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # windows done, windows in all
Windows = Any  # pytrees of arrays, the windows in front


def chunked(
    function: Callable[..., Windows],
    budget_bytes: int | None,
    *,
    largest: int | None = None,
    progress: Progress | None = None,
) -> "Chunked":
    """Return `function` over any number of windows, in chunks that stay within a budget.

    Called as `run(*windows, fixed=(...))` it returns what `function(*fixed, *windows)` would,
    as NumPy arrays: the same to the rounding of sums, which may depend on the chunk's size.

    Args:
        function: `(*fixed, *windows) -> outputs`, pure; windows and outputs are pytrees of arrays
            with the windows in front, and no window knows of another.
        budget_bytes: of the device for a chunk of windows, its outputs and all between; None:
            no limit. What is fixed is not counted: it is there anyway.
        largest: windows of a chunk at most, where more are no faster.
        progress: called after each chunk with the windows done and all of them.
    """
    return Chunked(function, budget_bytes, largest, progress)


class Chunked:
    """See `chunked`; it keeps the compiled program of its chunks."""

    def __init__(
        self,
        function: Callable[..., Windows],
        budget_bytes: int | None,
        largest: int | None,
        progress: Progress | None,
    ) -> None:
        self._jitted, self._budget = jax.jit(function), budget_bytes
        self._most, self._progress = largest, progress
        self._fitted: Fitted | None = None
        self._asked = 0  # windows that the size was chosen for

    @property
    def size(self) -> int:
        """Windows of a chunk; 0 before the first call."""
        return 0 if self._fitted is None else self._fitted.size

    def __call__(self, *windows: Windows, fixed: Sequence[Any] = ()) -> Windows:
        """Return the outputs of all windows.

        Raises:
            ValueError: no windows, or not as many in each array.
            OutOfMemoryError: a single window is too large for the budget.
        """
        number = _length(windows)
        if self._fitted is None or (self._asked < number and self.size == self._asked):
            self._fit(windows, fixed, number)
        outputs, done = None, 0
        while done < number:
            # The last chunk reaches back rather than being shorter: one program.
            first = max(min(done, number - self.size), 0)
            try:
                got = jax.device_get(self._run(windows, fixed, first))
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                self._halve(windows, fixed, error)
                continue
            if outputs is None:
                outputs = jax.tree.map(lambda x: np.empty((number, *x.shape[1:]), x.dtype), got)
            done = min(first + self.size, number)
            _write(outputs, got, first, done)
            if self._progress is not None:
                self._progress(done, number)
        return outputs

    def _run(self, windows: Windows, fixed: Sequence[Any], first: int) -> Windows:
        assert self._fitted is not None
        part = jax.tree.map(lambda x: _rows(x, first, self.size), windows)
        return self._fitted.program(*fixed, *part)

    def _fit(self, windows: Windows, fixed: Sequence[Any], number: int) -> None:
        """Choose the size for this many windows: powers of two, or all of them."""
        most = number if self._most is None else min(number, self._most)
        sizes = sorted({*(1 << i for i in range((most - 1).bit_length())), most})
        compile_at = self._compiler(windows, fixed)
        if self._budget is None:
            found = Fitted(most, *compile_at(most))
        else:
            found = largest_that_fits(compile_at, sizes, self._budget)
            if not found.fits(self._budget):
                raise OutOfMemoryError(
                    f"a single window needs {found.needed_bytes / 1e6:.4g} MB, the budget is "
                    f"{self._budget / 1e6:.4g} MB: raise runtime.memory_budget_gb or "
                    "runtime.host_memory_gb, or shorten the window"
                )
        self._fitted, self._asked = found, number

    def _compiler(self, windows: Windows, fixed: Sequence[Any]) -> Callable[[int], tuple[Any, int]]:
        def compile_at(size: int) -> tuple[Any, int]:
            part = jax.tree.map(lambda x: _shape_of(x, size), windows)
            compiled = self._jitted.lower(*fixed, *part).compile()
            given = tree_bytes(part)
            return compiled, program_bytes(compiled) + given

        return compile_at

    def _halve(self, windows: Windows, fixed: Sequence[Any], error: Exception) -> None:
        if not is_out_of_memory(error):
            raise error
        if self.size == 1:
            raise OutOfMemoryError(f"out of memory for a single window: {error}") from error
        log.warning("out of memory with %d windows at a time: going on with half", self.size)
        size = self.size // 2
        self._fitted = Fitted(size, *self._compiler(windows, fixed)(size))


def in_parts(function: Callable[..., Windows], parts: int) -> Callable[..., Windows]:
    """Return `function` of windows taken in `parts`, one after the other, inside a compiled one.

    Args:
        function: `(*windows) -> outputs`, as in `chunked`.
        parts: of equal size; the last is filled up with its last window.
    """
    if parts == 1:
        return function

    def run(*windows: Windows) -> Windows:
        number = _length(windows)
        size = -(-number // parts)
        place = jnp.minimum(jnp.arange(parts * size), number - 1).reshape(parts, size)
        outputs = jax.lax.map(
            lambda rows: function(*jax.tree.map(lambda x: x[rows], windows)), place
        )
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:number], outputs)

    return run


def _length(windows: Windows) -> int:
    lengths = {np.shape(x)[0] for x in jax.tree.leaves(windows)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"windows of {sorted(lengths)} rows: expected as many in each, and one")
    return int(lengths.pop())


def _rows(array: Any, first: int, size: int) -> Any:
    """Return rows of an array; the last is repeated where there are too few."""
    part = array[first : first + size]
    missing = size - part.shape[0]
    return part if not missing else np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])


def _shape_of(array: Any, size: int) -> jax.ShapeDtypeStruct:
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    return jax.ShapeDtypeStruct((size, *array.shape[1:]), dtype)


def _write(outputs: Windows, got: Windows, first: int, end: int) -> None:
    def write(whole: np.ndarray, part: np.ndarray) -> None:
        whole[first:end] = part[: end - first]

    jax.tree.map(write, outputs, got)
