"""Run the detector over whitened strain of any length, each sample once.

Strain is fed in chunks with the state carried over. What is left of a chunk after its
whole frames waits for the next, so chunks may have any length.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.types import State

# (parameters, strain, state) -> (frame logits, state); compiled once per chunk length.
Advance = Callable[
    [Any, Float[np.ndarray | Array, "batch detector time"], State], tuple[Array, State]
]


class Statistic(NamedTuple):
    """Ranking statistic of each frame and the GPS time at the end of the frame's strain."""

    gps: Float[np.ndarray, "frame"]
    value: Float[np.ndarray, "*batch frame"]


def build_advance(assemble: Callable[[Any], Detector]) -> Advance:
    """Return the compiled function that runs the detector one chunk further."""

    def advance(params: Any, strain: Array, state: State) -> tuple[Array, State]:
        detection, state = assemble(params)(strain, state)
        return detection.frame_logits, state

    return jax.jit(advance)


class Stream:
    """A detector that is fed strain as it comes.

    Args:
        advance: from `build_advance`.
        params: of the detector.
        state: initial state for `batch` streams side by side.
        frame_samples: samples between two frames.
    """

    def __init__(self, advance: Advance, params: Any, state: State, frame_samples: int) -> None:
        self.advance, self.params, self.state = advance, params, state
        self.frame_samples = frame_samples
        self._waiting: np.ndarray | None = None

    def feed(
        self, strain: Float[np.ndarray, "batch detector time"]
    ) -> Float[np.ndarray, "batch frame"]:
        """Return the logits of the frames that this strain completes."""
        if self._waiting is not None:
            strain = np.concatenate([self._waiting, strain], axis=-1)
        whole = strain.shape[-1] - strain.shape[-1] % self.frame_samples
        self._waiting = strain[..., whole:]
        if not whole:
            return np.zeros((strain.shape[0], 0), np.float32)
        logits, self.state = self.advance(self.params, strain[..., :whole], self.state)
        return np.asarray(logits)


def statistic_of(
    advance: Advance,
    params: Any,
    state: State,
    strain: Float[np.ndarray, "batch detector time"],
    *,
    frame_samples: int,
    chunk_samples: int,
    gps_start: float,
    sample_rate_hz: int,
) -> Statistic:
    """Return the statistic of continuous stretches of whitened strain, side by side.

    Args:
        state: initial state of `batch` streams.
        strain: whitened, of all detectors.
        chunk_samples: length of the chunks; the result does not depend on it.
        gps_start: time of the first sample, s.
    """
    stream = Stream(advance, params, state, frame_samples)
    frames = strain.shape[-1] // frame_samples
    # The network is causal: zeros after the end change nothing before it, and with them
    # every chunk has the same length, so one program is compiled.
    missing = -strain.shape[-1] % chunk_samples
    padded = np.pad(strain, ((0, 0), (0, 0), (0, missing)))
    starts = range(0, padded.shape[-1], chunk_samples)
    logits = [stream.feed(padded[..., i : i + chunk_samples]) for i in starts]
    value = np.concatenate(logits, axis=-1)[:, :frames]
    gps = gps_start + (np.arange(frames) + 1) * frame_samples / sample_rate_hz
    return Statistic(gps, value)
