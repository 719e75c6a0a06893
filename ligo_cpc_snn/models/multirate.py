"""Encoder of quadrature filters at two rates: strain to amplitudes, one per filter pair.

A chirp's end is short and broad, its inspiral long and narrow. So the last tenths of a
second are filtered at the full rate and what came before at a lower one, as low-latency
matched filtering does (Cannon et al. 2012, ApJ 748, 136): each part by a few basis filters,
from which a matrix makes the outputs of many filter pairs. A pair's two outputs are squared
and summed, so that its amplitude does not depend on the signal's phase.

All of it is matrix products over whole frames, and real.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import EncoderConfig
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.products import product
from ligo_cpc_snn.types import Latents, State

ANTI_ALIAS_TAPS = 8  # per sample of the decimated strain


class Layout(NamedTuple):
    """Lengths of the two kernels, in samples of their own rate, and how frames are divided.

    `fast` taps at the full rate end with a step, `slow` taps at 1/`decimation` of it where
    those begin: together they see each moment once.
    """

    frame: int
    step: int
    decimation: int
    fast: int
    slow: int

    @property
    def steps(self) -> int:
        """Amplitudes are taken this many times in a frame; the largest is the latent."""
        return self.frame // self.step

    @property
    def phases(self) -> int:
        """Steps in one sample of decimated strain."""
        return max(self.decimation // self.step, 1)

    @property
    def slow_frame(self) -> int:
        """Samples of decimated strain in a frame."""
        return self.frame // self.decimation

    @property
    def fast_delay(self) -> int:
        """Decimated samples by which the slow kernel ends before the newest one.

        The anti-alias filter delays by half its length.
        """
        return max(self.fast // self.decimation - ANTI_ALIAS_TAPS // 2, 0)

    @property
    def past_fast(self) -> int:
        """Full-rate samples of the past that a frame needs, whole frames."""
        longest = max(self.fast - self.step, (ANTI_ALIAS_TAPS - 1) * self.decimation)
        return -(-longest // self.frame) * self.frame

    @property
    def past_slow(self) -> int:
        """Decimated samples of the past that a frame needs, whole frames."""
        return -(-(self.slow + self.fast_delay) // self.slow_frame) * self.slow_frame


def layout_of(cfg: EncoderConfig, sample_rate_hz: int) -> Layout:
    """Return the kernels' lengths in samples.

    Raises:
        ValueError: frame, step and decimation do not divide each other.
    """
    frame, step, decimation = cfg.stride, cfg.step, cfg.slow_decimation
    least = ANTI_ALIAS_TAPS // 2 * decimation
    if frame % step or frame % decimation or decimation % step:
        raise ValueError(
            f"model.encoder: stride={frame}, step={step}, slow_decimation={decimation}: expected "
            "step to divide slow_decimation and both to divide stride"
        )
    fast = round(cfg.fast_seconds * sample_rate_hz / decimation) * decimation
    slow = round(cfg.slow_seconds * sample_rate_hz / decimation) - fast // decimation
    if fast < least or slow < 1:
        raise ValueError(
            f"model.encoder: fast_seconds={cfg.fast_seconds}, slow_seconds={cfg.slow_seconds}: "
            f"expected {least / sample_rate_hz:g} s or more, and a longer slow_seconds"
        )
    return Layout(frame, step, decimation, fast, slow)


def anti_alias(decimation: int) -> Float[np.ndarray, "taps"]:
    """Return a low-pass filter of unit noise gain: white noise keeps its variance."""
    taps = ANTI_ALIAS_TAPS * decimation
    t = (np.arange(taps) - (taps - 1) / 2) / decimation
    window = np.hanning(taps + 2)[1:-1]
    kernel = np.sinc(t) * window
    return (kernel / np.linalg.norm(kernel)).astype(np.float32)


class MultirateEncoder(nnx.Module):
    """Amplitudes of quadrature filter pairs, the largest within each frame.

    Args:
        cfg: features (filter pairs), ranks of the two bases, saturation.
        layout: from `layout_of`.
        channels: 1; detectors are encoded one by one.

    Raises:
        ValueError: for several channels.
    """

    def __init__(
        self,
        cfg: EncoderConfig,
        layout: Layout,
        *,
        channels: int,
        rngs: nnx.Rngs,
        kernels: Kernels = PLAIN,
    ):
        if channels != 1:
            raise ValueError(
                "model.encoder.kind=multirate: expected model.encoder.detectors=shared"
            )
        self.layout, self.features = layout, cfg.features
        self.saturation, self.precision = cfg.saturation, kernels.precision
        self.frame_samples = layout.frame
        normal = nnx.initializers.variance_scaling(1.0, "fan_in", "normal")
        rank = cfg.fast_rank + cfg.slow_rank
        self.fast = nnx.Param(normal(rngs.params(), (layout.fast, cfg.fast_rank)))
        slow = (layout.slow, layout.phases * cfg.slow_rank)
        self.slow = nnx.Param(normal(rngs.params(), slow).reshape(layout.slow, layout.phases, -1))
        self.mix = nnx.Param(normal(rngs.params(), (rank, 2 * cfg.features)))
        # Noise has amplitudes of about 2.3 +- 0.6: latents begin at zero mean and unit variance.
        self.offset = nnx.Param(jnp.full((cfg.features,), 2.3))
        self.scale = nnx.Param(jnp.full((cfg.features,), 1.0 / 0.6))

    def initial_state(self, batch: int) -> State:
        """Return the state of silence before the first frame."""
        layout = self.layout
        return jnp.zeros((batch, layout.past_fast)), jnp.zeros((batch, layout.past_slow))

    def __call__(
        self, strain: Float[Array, "batch time channel"], state: State
    ) -> tuple[Latents, State]:
        """Return latents, one per frame, and the state after them."""
        amplitude, state = self.amplitudes(strain[..., 0], state)
        return (amplitude - self.offset[...]) * self.scale[...], state

    def amplitudes(self, strain: Float[Array, "batch time"], state: State) -> tuple[Latents, State]:
        """Return the largest amplitude of each filter pair within each frame."""
        layout, (past, past_slow) = self.layout, state
        if strain.shape[1] % layout.frame:
            raise ValueError(
                f"{strain.shape[1]} samples are not a multiple of the stride {layout.frame}: "
                "feed whole frames, the rest with the next chunk"
            )
        bent = self.saturation * jnp.tanh(strain / self.saturation)
        x = jnp.concatenate([past.astype(bent.dtype), bent], axis=1)
        slow = self._decimate(x)
        y = jnp.concatenate([past_slow.astype(bent.dtype), slow], axis=1)
        basis = jnp.concatenate([self._fast_part(x), self._slow_part(y)], axis=-1)
        outputs = product(basis, self.mix[...].astype(bent.dtype), self.precision)
        power = outputs[..., : self.features] ** 2 + outputs[..., self.features :] ** 2
        after = x[:, x.shape[1] - past.shape[1] :], y[:, y.shape[1] - past_slow.shape[1] :]
        return jnp.sqrt(jnp.max(power, axis=2) + 1e-6), after

    def _decimate(self, x: Float[Array, "batch time"]) -> Float[Array, "batch slow_time"]:
        layout = self.layout
        kernel = jnp.asarray(anti_alias(layout.decimation), x.dtype)[:, None]
        new = (x.shape[1] - layout.past_fast) // layout.decimation
        needed = x[:, layout.past_fast - (ANTI_ALIAS_TAPS - 1) * layout.decimation :]
        return (_windows(needed, layout.decimation, ANTI_ALIAS_TAPS, new) @ kernel)[..., 0]

    def _fast_part(
        self, x: Float[Array, "batch time"]
    ) -> Float[Array, "batch frame step fast_rank"]:
        layout = self.layout
        shifts = [(layout.steps - 1 - i) * layout.step for i in range(layout.steps)]
        kernel = _shifted(self.fast[...].astype(x.dtype), shifts, layout.past_fast + layout.frame)
        return self._products(x, layout.frame, layout.past_fast, kernel)

    def _slow_part(
        self, y: Float[Array, "batch slow_time"]
    ) -> Float[Array, "batch frame step slow_rank"]:
        layout = self.layout
        length = layout.past_slow + layout.slow_frame
        kernels = []
        for step in range(layout.steps):
            sample, phase = divmod(step, layout.phases)
            shift = layout.slow_frame - 1 - sample + layout.fast_delay
            kernels.append(_shifted(self.slow[:, phase].astype(y.dtype), [shift], length))
        return self._products(y, layout.slow_frame, layout.past_slow, jnp.concatenate(kernels, 1))

    def _products(
        self, x: Array, frame: int, past: int, kernel: Float[Array, "seen step rank"]
    ) -> Float[Array, "batch frame step rank"]:
        frames = (x.shape[1] - past) // frame
        seen = _windows(x, frame, past // frame + 1, frames)
        outputs = product(seen, kernel.reshape(kernel.shape[0], -1), self.precision)
        return outputs.reshape(*outputs.shape[:2], *kernel.shape[1:])


def _windows(x: Array, block: int, blocks: int, count: Any) -> Float[Array, "batch count seen"]:
    """Return `count` windows of `blocks` blocks, each a block later than the one before.

    `count` is a number, or the symbol that `jax.export` has for one.
    """
    cut = x.reshape(x.shape[0], -1, block)
    return jnp.concatenate([cut[:, i : i + count] for i in range(blocks)], axis=-1)


def _shifted(
    kernel: Float[Array, "taps rank"], shifts: list[int], length: int
) -> Float[Array, "seen step rank"]:
    """Return the kernel ending `shift` samples before the end of a window of `length`."""
    taps = kernel.shape[0]
    padded = [jnp.pad(kernel, ((length - taps - s, s), (0, 0))) for s in shifts]
    return jnp.stack(padded, axis=1)
