"""CPC context: what the latents so far say, one vector per frame."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import ContextConfig, ContextKind
from ligo_cpc_snn.models.causal import DilatedMix
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.products import dot_general
from ligo_cpc_snn.models.recurrence import linear_recurrence
from ligo_cpc_snn.types import Latents, State

ContextFrames = Float[Array, "batch frame context"]


class GatedLinearRecurrence(nnx.Module):
    """Leaky average whose decay depends on the input only, gated at its output.

    The decay depends on the input and not on the state, so that every matrix product
    is taken over all frames at once and only an elementwise recurrence is left.
    Reference: Feng et al. 2024 (arXiv:2410.01201), minGRU; with an output gate.
    """

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs, kernels: Kernels = PLAIN):
        self.features, self.kernels = features, kernels
        dot = dot_general(kernels.precision)
        self.project = nnx.Linear(inputs, 3 * features, dot_general=dot, rngs=rngs)
        self.out = nnx.Linear(features, features, dot_general=dot, rngs=rngs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)
        # Time constants from 2 to 60 frames at the start: chirps and their absence.
        frames = jnp.geomspace(2.0, 60.0, features)
        self.decay_bias = nnx.Param(jnp.log(frames - 1.0))

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, self.features))

    def __call__(self, latents: Latents, state: State) -> tuple[ContextFrames, State]:
        decay, drive, gate = jnp.split(self.project(latents), 3, axis=-1)
        decay = jax.nn.sigmoid(decay + self.decay_bias[...])
        decay_tbf, drive_tbf = jnp.swapaxes(decay, 0, 1), jnp.swapaxes((1.0 - decay) * drive, 0, 1)
        h_tbf, state = linear_recurrence(decay_tbf, drive_tbf, state, self.kernels)
        h = jnp.swapaxes(h_tbf, 0, 1)
        return self.norm(self.out(h * jax.nn.silu(gate)) + drive), state


class GruContext(nnx.Module):
    """Gated recurrent unit (Cho et al. 2014), flax's own cell."""

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs, kernels: Kernels = PLAIN):
        self.features, self.kernels = features, kernels
        self.cell = nnx.GRUCell(inputs, features, rngs=rngs)
        for product in (self.cell.dense_i, self.cell.dense_h):
            product.dot_general = dot_general(kernels.precision)

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, self.features))

    def __call__(self, latents: Latents, state: State) -> tuple[ContextFrames, State]:
        graph, params = nnx.split(self.cell)

        def step(h: Array, x: Array) -> tuple[Array, Array]:
            return nnx.merge(graph, params)(h, x)

        frames = jnp.swapaxes(latents, 0, 1)
        state, context_tbf = jax.lax.scan(step, state, frames, unroll=self.kernels.unroll)
        return jnp.swapaxes(context_tbf, 0, 1), state


class NoRecurrence(nnx.Module):
    """The convolutions alone are the context."""

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs, kernels: Kernels = PLAIN):
        dot = dot_general(kernels.precision)
        self.project = nnx.Linear(inputs, features, dot_general=dot, rngs=rngs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return ()

    def __call__(self, latents: Latents, state: State) -> tuple[ContextFrames, State]:
        return self.norm(self.project(latents)), state


Recurrence = GatedLinearRecurrence | GruContext | NoRecurrence
_KINDS: dict[ContextKind, type[Recurrence]] = {
    ContextKind.glr: GatedLinearRecurrence,
    ContextKind.gru: GruContext,
    ContextKind.conv: NoRecurrence,
}
# A context without recurrence must reach back by itself: 127 frames.
CONV_DILATIONS = (1, 2, 4, 8, 16, 32)


class Context(nnx.Module):
    """Dilated causal convolutions over the latents, then a recurrence.

    Args:
        inputs: features of a latent.
        dilations: of the convolutions, in frames.
        recurrence: from the convolutions' features to the context.
        kernels: of the convolutions; `precision` is looked at.
    """

    def __init__(
        self,
        inputs: int,
        dilations: Sequence[int],
        recurrence: Recurrence,
        *,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        mixers = [DilatedMix(inputs, d, rngs=rngs, kernels=kernels) for d in dilations]
        self.mixers = nnx.List(mixers)
        self.recurrence = recurrence

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        layers = (*self.mixers, self.recurrence)
        return [layer.initial_state(batch) for layer in layers]

    def __call__(self, latents: Latents, state: State) -> tuple[ContextFrames, State]:
        """Return the context of each frame, and the state after the last."""
        x, after = latents, []
        for mixer, past in zip(self.mixers, state[:-1], strict=True):
            x, past = mixer(x, past)
            after.append(past)
        context, past = self.recurrence(x, state[-1])
        return context, [*after, past]


def build_context(
    cfg: ContextConfig, *, inputs: int, rngs: nnx.Rngs, kernels: Kernels = PLAIN
) -> Context:
    """Return the context network that `cfg.kind` names."""
    dilations = CONV_DILATIONS if cfg.kind is ContextKind.conv else cfg.dilations
    recurrence = _KINDS[cfg.kind](inputs, cfg.features, rngs=rngs, kernels=kernels)
    return Context(inputs, dilations, recurrence, rngs=rngs, kernels=kernels)
