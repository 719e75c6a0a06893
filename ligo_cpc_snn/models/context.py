"""CPC context: what the latents so far say, one vector per frame."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.config.schema import ContextConfig, ContextKind
from ligo_cpc_snn.models.causal import DilatedMix
from ligo_cpc_snn.types import Latents, State


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

    def __call__(self, latents: Latents, state: State) -> tuple[Latents, State]:
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

    def __call__(self, latents: Latents, state: State) -> tuple[Latents, State]:
        graph, params = nnx.split(self.cell)

        def step(h: Array, x: Array) -> tuple[Array, Array]:
            return nnx.merge(graph, params)(h, x)

        state, context_tbf = jax.lax.scan(step, state, jnp.swapaxes(latents, 0, 1))
        return jnp.swapaxes(context_tbf, 0, 1), state


class ConvContext(nnx.Module):
    """Dilated causal convolutions; sees 127 frames back."""

    dilations = (1, 2, 4, 8, 16, 32)

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs):
        self.project = nnx.Linear(inputs, features, rngs=rngs)
        self.mixers = nnx.List([DilatedMix(features, d, rngs=rngs) for d in self.dilations])
        self.norm = nnx.LayerNorm(features, rngs=rngs)

    def initial_state(self, batch: int) -> State:
        return [mixer.initial_state(batch) for mixer in self.mixers]

    def __call__(self, latents: Latents, state: State) -> tuple[Latents, State]:
        x, after = self.project(latents), []
        for mixer, past in zip(self.mixers, state, strict=True):
            x, past = mixer(x, past)
            after.append(past)
        return self.norm(x), after


Context = GatedLinearRecurrence | GruContext | ConvContext
_KINDS: dict[ContextKind, type[Context]] = {
    ContextKind.glr: GatedLinearRecurrence,
    ContextKind.gru: GruContext,
    ContextKind.conv: ConvContext,
}


def build_context(cfg: ContextConfig, *, inputs: int, rngs: nnx.Rngs) -> Context:
    """Return the context network that `cfg.kind` names."""
    return _KINDS[cfg.kind](inputs, cfg.features, rngs=rngs)
