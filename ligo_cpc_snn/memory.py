"""What any part may know of memory: how its lack is told, and the largest program that fits.

Like `rng` and `types`, this module may be imported anywhere.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from ligo_cpc_snn.errors import UserError

log = logging.getLogger(__name__)

# XLA's status code; some allocators and plug-ins give the text alone.
_SIGNS = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")


class OutOfMemoryError(UserError):
    """What a run needs at least is more than there is."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device, or the host, has no memory left."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, jax.errors.JaxRuntimeError) and any(
        sign in str(error) for sign in _SIGNS
    )


def is_sound(arrays: Any) -> bool:
    """Return whether arrays were not given up and every program that led to them succeeded."""
    held = [leaf for leaf in jax.tree.leaves(arrays) if isinstance(leaf, jax.Array)]
    if any(leaf.is_deleted() for leaf in held):
        return False
    try:
        jax.block_until_ready(held)
    except jax.errors.JaxRuntimeError as error:
        log.debug("a program before failed: %s", error)
        return False
    return True


Compile = Callable[[int], tuple[Any, int]]  # size -> program, bytes beside its arguments


class Fitted(NamedTuple):
    """A size, its compiled program, and the bytes that it takes beside its arguments."""

    size: int
    program: Any
    needed_bytes: int

    def fits(self, room_bytes: int) -> bool:
        """Return whether there is room for it."""
        return self.needed_bytes <= room_bytes


def largest_that_fits(compile_at: Compile, sizes: Sequence[int], room_bytes: int) -> Fitted:
    """Return the largest of `sizes` whose program fits, the smallest if none does.

    A larger size is taken to need no less. The first size tried is the largest, each other one
    the largest that would fit if bytes grew as sizes do: three or four programs are compiled.

    Args:
        compile_at: compiles the program of a size.
        sizes: to choose from.
        room_bytes: for one program.
    """
    left = sorted(sizes)  # those that may still be the answer
    size, fitting = left[-1], None
    while True:
        tried = Fitted(size, *compile_at(size))
        if tried.fits(room_bytes):
            fitting, left = tried, [s for s in left if s > size]
        else:
            left = [s for s in left if s < size]
        if not left:
            return fitting or tried
        in_proportion = size * room_bytes / max(tried.needed_bytes, 1)
        size = max((s for s in left if s <= in_proportion), default=left[0])


def tree_bytes(tree: Any) -> int:
    """Return the bytes of all arrays, or shapes of such, of a pytree."""
    return sum(int(x.size) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def program_bytes(compiled: Any) -> int:
    """Return the device memory that a program takes beside its arguments, as its compiler says.

    Activations and gradients are `temp`; results that overwrite donated arguments are no more.
    0 where the platform's compiler does not say, which is logged.
    """
    told = compiled.memory_analysis()
    if told is None:
        log.info("the compiler of %s tells no memory of its programs", jax.default_backend())
        return 0
    results = max(told.output_size_in_bytes - told.alias_size_in_bytes, 0)
    return int(told.temp_size_in_bytes + results + told.generated_code_size_in_bytes)
