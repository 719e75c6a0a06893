"""CPC encoder: strain to latent frames, causal and without batch statistics."""

from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import EncoderConfig, EncoderKind
from ligo_cpc_snn.models.causal import StridedConv
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.multirate import MultirateEncoder, layout_of
from ligo_cpc_snn.models.own_encoder import build_own_encoder
from ligo_cpc_snn.types import Latents, State


@runtime_checkable
class Encoder(Protocol):
    """What the detector needs of an encoder."""

    frame_samples: int

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""

    def __call__(
        self, strain: Float[Array, "batch time channel"], state: State
    ) -> tuple[Latents, State]: ...


class CpcEncoder(nnx.Module):
    """Strided causal convolutions and a layer norm.

    A latent sees a few milliseconds of strain and no more: what InfoNCE predicts must
    not share strain with what it is predicted from.

    Args:
        lengths, strides: of the strided convolutions, in the order of the data.
        channels: detectors seen together (1 when they share the encoder).
        saturation: bound of whitened strain, so that a glitch of a thousand sigma does not
            drive every neuron; a signal's samples are far below it.
    """

    def __init__(
        self,
        features: int,
        lengths: list[int],
        strides: list[int],
        *,
        channels: int,
        saturation: float,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        self.frame_samples = 1
        self.saturation = saturation
        convs: list[StridedConv] = []
        inputs = channels
        for kernel, stride in zip(lengths, strides, strict=True):
            conv = StridedConv(inputs, features, kernel, stride, rngs=rngs, kernels=kernels)
            convs.append(conv)
            inputs = features
            self.frame_samples *= stride
        self.convs = nnx.List(convs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        return [conv.initial_state(batch) for conv in self.convs]

    def __call__(
        self, strain: Float[Array, "batch time channel"], state: State
    ) -> tuple[Latents, State]:
        """Return latents, one per `frame_samples` samples, and the state after them."""
        x = self.saturation * jnp.tanh(strain / self.saturation)
        after: list[State] = []
        for conv, past in zip(self.convs, state, strict=True):
            if after:
                x = jax.nn.gelu(x)
            x, past = conv(x, past)
            after.append(past)
        return self.norm(x), after


def build_encoder(
    cfg: EncoderConfig,
    *,
    channels: int,
    sample_rate_hz: int,
    rngs: nnx.Rngs,
    kernels: Kernels = PLAIN,
) -> Encoder:
    """Return the encoder that `cfg.kind` names."""
    if cfg.kind is EncoderKind.multirate:
        layout = layout_of(cfg, sample_rate_hz)
        return MultirateEncoder(cfg, layout, channels=channels, rngs=rngs, kernels=kernels)
    if cfg.kind is EncoderKind.own:
        own: Encoder = build_own_encoder(
            cfg, channels=channels, sample_rate_hz=sample_rate_hz, rngs=rngs, kernels=kernels
        )
        return own
    if cfg.kind is EncoderKind.patch:
        lengths, strides = [cfg.patch], [cfg.stride]
    else:
        lengths, strides = list(cfg.conv_kernels), list(cfg.conv_strides)
    return CpcEncoder(
        cfg.features,
        lengths,
        strides,
        channels=channels,
        saturation=cfg.saturation,
        rngs=rngs,
        kernels=kernels,
    )
