"""A leaky unit that passes on its membrane in place of spikes, to compare spiking heads with."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class LeakyUnit(nnx.Module):
    """A LIF neuron without threshold and reset, rectified at its output.

    It has the parameters and the state of `spyx.nn.LIF`, so that a head of such units is as
    large as a spiking one. Its state is the membrane before the next input.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.width = width
        # Membranes forget within 1 to 8 frames at first.
        self.beta = nnx.Param(jax.random.uniform(rngs.params(), (width,), minval=0.3, maxval=0.9))

    def initial_state(self, batch: int) -> Float[Array, "batch neuron"]:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, self.width))

    def __call__(
        self, x: Float[Array, "batch neuron"], state: Float[Array, "batch neuron"]
    ) -> tuple[Float[Array, "batch neuron"], Float[Array, "batch neuron"]]:
        """Return what the unit passes on after this frame's input, and its membrane."""
        membrane = jnp.clip(self.beta[...], 0, 1) * state + x
        return jax.nn.relu(membrane), membrane
