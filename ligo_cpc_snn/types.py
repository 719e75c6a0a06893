"""Array types by their role, for public signatures.

Time-major arrays exist only inside the spiking part (`models/snn.py`): everywhere
else a batch comes first.
"""

from typing import Any, NamedTuple

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
