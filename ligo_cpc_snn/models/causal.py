"""Causal layers that carry their past, so that chunks give what the whole gives.

Each layer maps `(x, state)` to `(y, state)` and has `initial_state(batch)`, the zeros
that stand before the first sample. Convolutions are written as one matrix product
over shifted copies: XLA on a CPU compiles the gradient of a true convolution inside
a loop to a path over twenty times slower, and a depthwise one always.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.products import dot_general
from ligo_cpc_snn.types import Latents, State


class StridedConv(nnx.Module):
    """Causal strided convolution: each output sees `kernel` samples up to its own last one.

    Args:
        inputs, outputs: channels.
        kernel: samples seen, a multiple of `stride`.
        stride: samples per output.
        kernels: `precision` is looked at.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        *,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        if kernel % stride:
            raise ValueError(f"kernel={kernel} is not a multiple of stride={stride}")
        self.inputs, self.kernel, self.stride = inputs, kernel, stride
        dot = dot_general(kernels.precision)
        self.product = nnx.Linear(kernel * inputs, outputs, dot_general=dot, rngs=rngs)

    def initial_state(self, batch: int) -> Float[Array, "batch past channel"]:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, self.kernel - self.stride, self.inputs))

    def __call__(self, x: Float[Array, "batch time channel"], past: State) -> tuple[Latents, State]:
        batch, time, _ = x.shape
        if time % self.stride:
            raise ValueError(
                f"{time} samples are not a multiple of the stride {self.stride}: "
                "feed whole frames, the rest with the next chunk"
            )
        x = jnp.concatenate([past.astype(x.dtype), x], axis=1)
        frames = time // self.stride
        blocks = x.reshape(batch, -1, self.stride * self.inputs)
        taps = self.kernel // self.stride
        seen = jnp.concatenate([blocks[:, i : i + frames] for i in range(taps)], axis=-1)
        return self.product(seen), x[:, x.shape[1] - past.shape[1] :]


class DilatedMix(nnx.Module):
    """Residual block that mixes each frame with the frames 1 and 2 dilations before it."""

    taps = 3

    def __init__(self, features: int, dilation: int, *, rngs: nnx.Rngs, kernels: Kernels = PLAIN):
        dot = dot_general(kernels.precision)
        self.features, self.dilation = features, dilation
        self.norm = nnx.LayerNorm(features, rngs=rngs)
        self.mix = nnx.Linear(self.taps * features, features, dot_general=dot, rngs=rngs)
        self.out = nnx.Linear(features, features, dot_general=dot, rngs=rngs)

    def initial_state(self, batch: int) -> Latents:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, (self.taps - 1) * self.dilation, self.features))

    def __call__(self, x: Latents, past: State) -> tuple[Latents, State]:
        frames = x.shape[1]
        seen = jnp.concatenate([past.astype(x.dtype), self.norm(x)], axis=1)
        shifted = [seen[:, i * self.dilation :][:, :frames] for i in range(self.taps)]
        y = x + self.out(jax.nn.gelu(self.mix(jnp.concatenate(shifted, axis=-1))))
        return y, seen[:, seen.shape[1] - past.shape[1] :]
