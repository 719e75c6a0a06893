"""Whether two programs make the same signals: a comparison of different things says nothing."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

SNR_TOLERANCE = 0.01
FINER = 8  # shifts in time per sample


class Agreement(NamedTuple):
    """How far a peer's whitened signals are from ours.

    Args:
        snr_difference: Largest relative difference of the optimal SNR in a detector.
        overlap: Smallest normalised inner product, at the best time and phase.
    """

    snr_difference: float
    overlap: float

    @property
    def same(self) -> bool:
        """Whether the SNRs agree within the tolerance."""
        return self.snr_difference < SNR_TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self._asdict(), "same": self.same}


def agreement(
    ours: Float[np.ndarray, "n detector time"],
    snr: Float[np.ndarray, "n detector"],
    theirs: Float[np.ndarray, "n detector all_time"],
    crop: tuple[int, int],
) -> Agreement:
    """Compare whitened signals of the same sources.

    Args:
        ours: cropped around the merger, of any loudness.
        snr: of ours, whole, at the drawn distance.
        theirs: whole, merger at sample 0.
        crop: samples of ours before the merger and from it on.
    """
    difference = np.abs(np.linalg.norm(theirs, axis=-1) / snr - 1)
    before, after = crop
    cropped = np.concatenate([theirs[..., -before:], theirs[..., :after]], axis=-1)
    return Agreement(float(difference.max()), float(_overlap(ours, cropped).min()))


def _overlap(
    a: Float[np.ndarray, "n detector time"], b: Float[np.ndarray, "n detector time"]
) -> Float[np.ndarray, "n detector"]:
    """Return the inner product over the norms, largest over shifts in time and in phase."""
    product = np.fft.rfft(a) * np.conj(np.fft.rfft(b))
    # Only positive frequencies: the modulus is then the largest over phase. On a finer grid
    # of shifts, for a peer that delays by whole samples is not wrong for it.
    shifts = FINER * a.shape[-1]
    products = np.abs(np.fft.ifft(2 * product, shifts)) * FINER
    return products.max(axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
