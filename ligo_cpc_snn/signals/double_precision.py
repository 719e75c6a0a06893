"""Where complex and 64-bit numbers are computed: Apple's GPUs have neither.

Waveforms, their projection and matched filters enter `double_precision` or `complex_numbers`,
whatever device the network runs on; what they return goes to that device as float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

PLATFORMS_WITH_DOUBLE = ("cpu", "gpu")  # of complex128 numbers; jax-metal and jax-mps have none


def double_precision_device() -> jax.Device:
    """Return the default device if it has complex and 64-bit numbers, otherwise the CPU."""
    if jax.default_backend() in PLATFORMS_WITH_DOUBLE:
        return jax.local_devices()[0]
    return jax.local_devices(backend="cpu")[0]


@contextmanager
def complex_numbers() -> Iterator[None]:
    """Compute on a device that has complex numbers."""
    with jax.default_device(double_precision_device()):
        yield


@contextmanager
def double_precision() -> Iterator[None]:
    """Compute in 64 bits, on a device that has them."""
    with jax.enable_x64(True), complex_numbers():
        yield
