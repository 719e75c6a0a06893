"""CPC context: what the latents so far say, one vector per frame."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import ContextConfig, ContextKind
from ligo_cpc_snn.models.causal import DilatedMix
from ligo_cpc_snn.types import Latents, State

ContextFrames = Float[Array, "batch frame context"]


def linear_recurrence(
    decay_btf: Latents, drive_btf: Latents, start: Float[Array, "batch feature"]
) -> tuple[Latents, Float[Array, "batch feature"]]:
    """Return h with h[t] = decay[t] h[t-1] + drive[t], and the last h."""

    def step(h: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        decay, drive = inputs
        h = decay * h + drive
        return h, h

    last, h_tbf = jax.lax.scan(
        step, start, (jnp.swapaxes(decay_btf, 0, 1), jnp.swapaxes(drive_btf, 0, 1))
    )
    return jnp.swapaxes(h_tbf, 0, 1), last


class GatedLinearRecurrence(nnx.Module):
    """Leaky average whose decay depends on the input only, gated at its output.

    The decay depends on the input and not on the state, so that every matrix product
    is taken over all frames at once and only an elementwise recurrence is left.
    Reference: Feng et al. 2024 (arXiv:2410.01201), minGRU; with an output gate.
    """

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs):
        self.features = features
        self.project = nnx.Linear(inputs, 3 * features, rngs=rngs)
        self.out = nnx.Linear(features, features, rngs=rngs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)
        # Time constants from 2 to 60 frames at the start: chirps and their absence.
        frames = jnp.geomspace(2.0, 60.0, features)
        self.decay_bias = nnx.Param(jnp.log(frames - 1.0))

    def initial_state(self, batch: int) -> State:
        return jnp.zeros((batch, self.features))

    def __call__(
        self, latents: Latents, state: State
    ) -> tuple[Float[Array, "batch frame context"], State]:
        decay, drive, gate = jnp.split(self.project(latents), 3, axis=-1)
        decay = jax.nn.sigmoid(decay + self.decay_bias[...])
        h, state = linear_recurrence(decay, (1.0 - decay) * drive, state)
        return self.norm(self.out(h * jax.nn.silu(gate)) + drive), state


class GruContext(nnx.Module):
    """Gated recurrent unit (Cho et al. 2014), flax's own cell."""

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs):
        self.features = features
        self.cell = nnx.GRUCell(inputs, features, rngs=rngs)

    def initial_state(self, batch: int) -> State:
        return jnp.zeros((batch, self.features))

    def __call__(
        self, latents: Latents, state: State
    ) -> tuple[Float[Array, "batch frame context"], State]:
        graph, params = nnx.split(self.cell)

        def step(h: Array, x: Array) -> tuple[Array, Array]:
            return nnx.merge(graph, params)(h, x)

        state, context_tbf = jax.lax.scan(step, state, jnp.swapaxes(latents, 0, 1))
        return jnp.swapaxes(context_tbf, 0, 1), state


class NoRecurrence(nnx.Module):
    """The convolutions alone are the context."""

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs):
        self.project = nnx.Linear(inputs, features, rngs=rngs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)

    def initial_state(self, batch: int) -> State:
        return ()

    def __call__(
        self, latents: Latents, state: State
    ) -> tuple[Float[Array, "batch frame context"], State]:
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
    """

    def __init__(
        self, inputs: int, dilations: Sequence[int], recurrence: Recurrence, *, rngs: nnx.Rngs
    ):
        self.mixers = nnx.List([DilatedMix(inputs, d, rngs=rngs) for d in dilations])
        self.recurrence = recurrence

    def initial_state(self, batch: int) -> State:
        layers = (*self.mixers, self.recurrence)
        return [layer.initial_state(batch) for layer in layers]

    def __call__(
        self, latents: Latents, state: State
    ) -> tuple[Float[Array, "batch frame context"], State]:
        """Return the context of each frame, and the state after the last."""
        x, after = latents, []
        for mixer, past in zip(self.mixers, state[:-1], strict=True):
            x, past = mixer(x, past)
            after.append(past)
        context, past = self.recurrence(x, state[-1])
        return context, [*after, past]


def build_context(cfg: ContextConfig, *, inputs: int, rngs: nnx.Rngs) -> Context:
    """Return the context network that `cfg.kind` names."""
    dilations = CONV_DILATIONS if cfg.kind is ContextKind.conv else cfg.dilations
    recurrence = _KINDS[cfg.kind](inputs, cfg.features, rngs=rngs)
    return Context(inputs, dilations, recurrence, rngs=rngs)
