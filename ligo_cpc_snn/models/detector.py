"""The whole detector: strain of several detectors to a ranking statistic.

Encoder, context and bridge run per detector with shared weights (or on the
detectors jointly); the spiking network joins their spikes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from ligo_cpc_snn.config.model_schema import BridgeInput, DetectorFusion, ModelConfig
from ligo_cpc_snn.models.bridge import build_bridge
from ligo_cpc_snn.models.context import build_context
from ligo_cpc_snn.models.encoder import build_encoder
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.snn import LayerTrace, SpikingNetwork
from ligo_cpc_snn.types import FrameLogits, Spikes, State, Strain, WindowLogits

Keys = Key[Array, "sequence"]


class Representation(NamedTuple):
    """What the CPC part makes of strain; with shared encoders a sequence is one detector's."""

    latents: Float[Array, "sequence frame feature"]
    context: Float[Array, "sequence frame feature"]


class Detection(NamedTuple):
    """Output of the detector for a chunk of strain."""

    frame_logits: FrameLogits
    bridge_spikes: Spikes
    layers: list[LayerTrace]
    representation: Representation


class DetectorState(NamedTuple):
    """What the detector carries from one chunk to the next."""

    encoder: State
    context: State
    bridge: State
    snn: State


def window_logits(frame_logits: FrameLogits, first: int = 0) -> WindowLogits:
    """Return one logit per window: the log of the mean of the frames' exponentials.

    Args:
        first: frames before this one are the network's warm-up and are not looked at.

    Raises:
        ValueError: no frame is left.
    """
    late = frame_logits[..., first:]
    if not late.shape[-1]:
        raise ValueError(
            f"windows of {frame_logits.shape[-1]} frames, the first {first} of them warm-up: lower "
            "model.warm_up_seconds or raise data.window_seconds"
        )
    return jax.nn.logsumexp(late, axis=-1) - jnp.log(late.shape[-1])


class Detector(nnx.Module):
    """CPC encoder and context, SpikeBridge and spiking network.

    Args:
        detectors: number of detectors in the strain.
        sample_rate_hz: of the strain.
        kernels: how it computes; none changes what it computes beyond their tolerances.
    """

    def __init__(
        self,
        cfg: ModelConfig,
        *,
        detectors: int,
        sample_rate_hz: int,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        self.kernels = kernels
        self.shared = cfg.encoder.detectors is DetectorFusion.shared
        self.detectors = detectors
        channels = 1 if self.shared else detectors
        self.encoder = build_encoder(
            cfg.encoder,
            channels=channels,
            sample_rate_hz=sample_rate_hz,
            rngs=rngs,
            kernels=kernels,
        )
        features = cfg.encoder.features
        self.context = build_context(cfg.context, inputs=features, rngs=rngs, kernels=kernels)
        self.from_context = cfg.bridge.input is BridgeInput.context
        self.bridge = build_bridge(
            cfg.bridge, features=cfg.context.features if self.from_context else features
        )
        inputs = self.bridge.channels * (detectors if self.shared else 1)
        self.frame_samples = self.encoder.frame_samples
        frame_seconds = self.frame_samples / sample_rate_hz
        self.warm_up_frames = round(cfg.warm_up_seconds / frame_seconds)
        self.snn = SpikingNetwork(
            cfg.snn,
            inputs=inputs,
            detectors=detectors if self.shared else 1,
            frame_seconds=frame_seconds,
            rngs=rngs,
            kernels=kernels,
        )

    def window_logits(self, frame_logits: FrameLogits) -> WindowLogits:
        """Return one logit per window that began in silence, its warm-up left out."""
        return window_logits(frame_logits, self.warm_up_frames)

    def sequences(self, batch: int) -> int:
        """Return how many sequences the encoder sees for `batch` examples."""
        return batch * self.detectors if self.shared else batch

    def initial_state(self, batch: int) -> DetectorState:
        """Return the state of silence before the first frame."""
        n = self.sequences(batch)
        return DetectorState(
            self.encoder.initial_state(n),
            self.context.initial_state(n),
            self.bridge.initial_state(n),
            self.snn.initial_state(batch),
        )

    def encode(self, strain: Strain, state: DetectorState) -> tuple[Representation, DetectorState]:
        """Return latents and context; `time` must be a multiple of `frame_samples`."""
        latents, encoder = self.encoder(self.as_sequences(strain), state.encoder)
        context, after = self.context(latents, state.context)
        return Representation(latents, context), state._replace(encoder=encoder, context=after)

    def as_sequences(self, strain: Strain) -> Float[Array, "sequence time channel"]:
        """Return strain as the encoder takes it: a sequence per detector, or of all together."""
        batch, detectors, time = strain.shape
        if detectors != self.detectors:
            raise ValueError(f"strain of {detectors} detectors, the model has {self.detectors}")
        if self.shared:
            return strain.reshape(batch * detectors, time, 1)
        return jnp.swapaxes(strain, 1, 2)

    def spikes(
        self, representation: Representation, state: DetectorState, keys: Keys
    ) -> tuple[Spikes, DetectorState]:
        """Return the bridge's spikes, the detectors' channels side by side."""
        spikes, state = self._bridged(representation, state, keys)
        return _side_by_side(self._split(spikes)) if self.shared else spikes, state

    def features(
        self, strain: Strain, state: DetectorState, keys: Keys
    ) -> tuple[Float[Array, "batch detector frame channel"], DetectorState]:
        """Return what each detector's strain alone comes to: the bridge's spikes.

        A time slide shifts these against each other and repeats `join` only.

        Raises:
            ValueError: the encoder sees the detectors jointly.
        """
        if not self.shared:
            raise ValueError("model.encoder.detectors=joint has no features of one detector")
        representation, state = self.encode(strain, state)
        spikes, state = self._bridged(representation, state, keys)
        return self._split(spikes), state

    def join(
        self, features: Float[Array, "batch detector frame channel"], snn: State
    ) -> tuple[FrameLogits, State]:
        """Return the logits of the detectors' features side by side, and the SNN's state."""
        logits, _, snn = self.snn(_side_by_side(features), snn)
        return logits, snn

    def detect(
        self, representation: Representation, state: DetectorState, keys: Keys
    ) -> tuple[Detection, DetectorState]:
        """Return the logits of frames whose representation is known."""
        spikes, state = self.spikes(representation, state, keys)
        logits, layers, snn = self.snn(spikes, state.snn)
        return Detection(logits, spikes, layers, representation), state._replace(snn=snn)

    def __call__(
        self,
        strain: Strain,
        state: DetectorState | None = None,
        *,
        keys: Keys | None = None,
    ) -> tuple[Detection, DetectorState]:
        """Run over strain, from silence or from the state that earlier strain left.

        Args:
            strain: whitened strain; `time` a multiple of `frame_samples`.
            state: what an earlier call returned; None: nothing came before.
            keys: one per sequence, for stochastic bridges; the same keys give the same spikes.
        """
        state = self.initial_state(strain.shape[0]) if state is None else state
        if keys is None:
            keys = jax.random.split(jax.random.key(0), self.sequences(strain.shape[0]))
        representation, state = self.encode(strain, state)
        return self.detect(representation, state, keys)

    def _bridged(
        self, representation: Representation, state: DetectorState, keys: Keys
    ) -> tuple[Float[Array, "sequence frame channel"], DetectorState]:
        source = representation.context if self.from_context else representation.latents
        spikes, bridge = self.bridge(source, state.bridge, keys)
        return spikes, state._replace(bridge=bridge)

    def _split(
        self, x: Float[Array, "sequence frame channel"]
    ) -> Float[Array, "batch detector frame channel"]:
        return x.reshape(-1, self.detectors, *x.shape[1:])


def _side_by_side(
    x: Float[Array, "batch detector frame channel"],
) -> Float[Array, "batch frame joined"]:
    batch, _, frames, _ = x.shape
    return jnp.swapaxes(x, 1, 2).reshape(batch, frames, -1)
