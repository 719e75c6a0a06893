"""SpikeBridge: latent frames to spikes, with surrogate gradients.

Spikes are 0.0 or 1.0 in the latents' dtype. Every bridge is causal and carries what
it needs of the past.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key
from spyx.axn import Activation

from ligo_cpc_snn.config.model_schema import BridgeConfig, BridgeKind
from ligo_cpc_snn.models.surrogate import build_surrogate
from ligo_cpc_snn.types import Latents, Spikes, State

Keys = Key[Array, "batch"]


def _inverse_softplus(value: float | Array) -> Array:
    return jnp.log(jnp.expm1(jnp.asarray(value, jnp.float32)))


class Threshold(nnx.Module):
    """A spike wherever a latent exceeds a learnable, positive threshold.

    With several levels a latent has one channel for each, their thresholds a `spacing` apart
    at first: how many spike says how large it is.
    """

    def __init__(
        self,
        features: int,
        threshold: float,
        spike: Activation,
        levels: int = 1,
        spacing: float = 1.0,
    ):
        self.levels = levels
        self.channels = levels * features
        self.spike = spike
        first = _inverse_softplus(threshold + spacing * jnp.arange(levels))
        self.raw_threshold = nnx.Param(jnp.tile(first, features))

    @property
    def threshold(self) -> Float[Array, "feature"]:
        """The thresholds, above 0, in the latents' units."""
        return jax.nn.softplus(self.raw_threshold[...])

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return ()

    def __call__(self, latents: Latents, state: State, keys: Keys) -> tuple[Spikes, State]:
        if self.levels > 1:
            latents = jnp.repeat(latents, self.levels, axis=-1)
        return self.spike(latents - self.threshold), state


class TemporalContrast(Threshold):
    """On and off spikes where a latent rose or fell by more than its threshold.

    The change is taken against the frame before, as an event camera does between two
    read-outs; the first frame of all is compared with zero.
    """

    def __init__(self, features: int, threshold: float, spike: Activation):
        super().__init__(features, threshold, spike)
        self.channels = 2 * features

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, self.channels // 2))

    def __call__(self, latents: Latents, state: State, keys: Keys) -> tuple[Spikes, State]:
        before = jnp.concatenate([state[:, None].astype(latents.dtype), latents[:, :-1]], axis=1)
        change, threshold = latents - before, self.threshold
        on, off = self.spike(change - threshold), self.spike(-change - threshold)
        return jnp.concatenate([on, off], axis=-1), latents[:, -1]


class Rate(nnx.Module):
    """Bernoulli spikes whose probability is the sigmoid of the latent.

    The random numbers of a frame depend on its sequence's key and its own number alone,
    so that chunks, and micro-batches, give what the whole gives.
    """

    def __init__(self, features: int, spike: Activation):
        self.channels = features
        self.spike = spike
        self.bias = nnx.Param(jnp.full((features,), -2.0))  # about 12 % at the start

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return jnp.zeros((), jnp.int32)

    def __call__(self, latents: Latents, state: State, keys: Keys) -> tuple[Spikes, State]:
        frame = state + jnp.arange(latents.shape[1])

        def draw(key: Key[Array, ""], frame: Array) -> Array:
            return jax.random.uniform(jax.random.fold_in(key, frame), (self.channels,))

        uniform = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(keys, frame)
        spikes = self.spike(jax.nn.sigmoid(latents + self.bias[...]) - uniform)
        return spikes, state + latents.shape[1]


class Latency(nnx.Module):
    """One spike per feature in each block of frames, the earlier the larger the latent.

    The latent at a block's first frame is held; a threshold falls linearly from 1 to 0
    through the block and the spike comes where it meets the latent's sigmoid.
    """

    def __init__(self, features: int, block: int, spike: Activation):
        self.channels, self.block = features, block
        self.spike = spike

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return jnp.zeros((batch, self.channels)), jnp.zeros((), jnp.int32)

    def __call__(self, latents: Latents, state: State, keys: Keys) -> tuple[Spikes, State]:
        held, count = state
        frame = count + jnp.arange(latents.shape[1])
        first = frame - frame % self.block - count  # of the frame's block, in this chunk
        begun = first < 0
        value = jnp.where(
            begun[:, None], held[:, None].astype(latents.dtype), latents[:, jnp.maximum(first, 0)]
        )
        probability = jax.nn.sigmoid(value)
        phase = (frame % self.block).astype(latents.dtype)[:, None] / self.block
        reached = self.spike(probability - (1.0 - phase - 1.0 / self.block))
        earlier = jnp.where(phase > 0, self.spike(probability - (1.0 - phase)), 0.0)
        return reached - earlier, (value[:, -1], count + latents.shape[1])


class PassThrough(nnx.Module):
    """No spikes: the latents go on as they are, for ablation."""

    def __init__(self, features: int):
        self.channels = features

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return ()

    def __call__(self, latents: Latents, state: State, keys: Keys) -> tuple[Spikes, State]:
        return latents, state


Bridge = Threshold | TemporalContrast | Rate | Latency | PassThrough


def build_bridge(cfg: BridgeConfig, *, features: int) -> Bridge:
    """Return the bridge that `cfg.kind` names."""
    spike = build_surrogate(cfg.surrogate, cfg.slope)
    if cfg.kind is BridgeKind.temporal_contrast:
        return TemporalContrast(features, cfg.threshold, spike)
    if cfg.kind is BridgeKind.threshold:
        return Threshold(features, cfg.threshold, spike, cfg.levels, cfg.spacing)
    if cfg.kind is BridgeKind.rate:
        return Rate(features, spike)
    if cfg.kind is BridgeKind.latency:
        return Latency(features, cfg.latency_frames, spike)
    return PassThrough(features)
