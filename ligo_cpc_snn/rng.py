"""Random keys as functions of (seed, name, step), so that resuming needs no saved state."""

import zlib

import jax
from jaxtyping import Array, Key


def stream(seed: int, name: str) -> Key[Array, ""]:
    """Return the base key of the stream `name`; streams of different names are independent."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def at_step(key: Key[Array, ""], step: int | Array) -> Key[Array, ""]:
    """Return the key of one step of a stream."""
    return jax.random.fold_in(key, step)
