"""Array types by their role, and what packages that do not import each other share.

Time-major arrays exist only inside the spiking part (`models/snn.py`): everywhere
else a batch comes first.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float

Strain = Float[Array, "batch detector time"]
Latents = Float[Array, "batch frame feature"]
Spikes = Float[Array, "batch frame channel"]
FrameLogits = Float[Array, "batch frame"]
WindowLogits = Float[Array, "batch"]
State = Any  # a pytree of arrays that a causal layer carries from chunk to chunk


class Batch(NamedTuple):
    """Whitened strain with labels: 1 where a signal of network SNR `snr` is in it."""

    strain: Strain
    label: Float[Array, "batch"]
    snr: Float[Array, "batch"]


@runtime_checkable
class StopRequest(Protocol):
    """Whether somebody asked the run to end."""

    @property
    def requested(self) -> bool:
        """Whether it did."""
