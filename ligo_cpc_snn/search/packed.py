"""Spikes kept at one bit each, unpacked where they are looked at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8


@dataclass(frozen=True)
class PackedSpikes:
    """Spikes of (detector, frame, channel), eight channels to a byte; `bits` may be memory-mapped.

    Indexed by detector and frame it gives an array of booleans; `np.asarray` unpacks all.
    """

    bits: UInt8[np.ndarray, "detector frame byte"]
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Detectors, frames, channels."""
        return (*self.bits.shape[:2], self.channels)

    def from_frame(self, first: int) -> "PackedSpikes":
        """Return the spikes from a frame on, still packed."""
        return PackedSpikes(self.bits[:, first:], self.channels)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.unpackbits(self.bits[index], axis=-1, count=self.channels).view(bool)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :], dtype)


def pack(spikes: Bool[np.ndarray, "detector frame channel"]) -> PackedSpikes:
    """Return spikes at one bit each."""
    return PackedSpikes(np.packbits(spikes, axis=-1), spikes.shape[-1])
