"""Spike statistics of a layer: its rate, and the neurons that never or always fire."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped


@dataclass(frozen=True)
class SpikeStatistics:
    """Spikes per neuron and frame, and the fractions of neurons outside the useful range."""

    rate: float  # spikes per neuron and frame
    rate_hz: float | None  # spikes per neuron and second; None: frame rate not given
    silent_fraction: float  # of neurons, with a rate below `silent_below`
    saturated_fraction: float  # of neurons, with a rate above `saturated_above`
    neurons: int
    fault: str | None  # "silent" or "saturated" when the whole layer's rate is out of range

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def spike_statistics(
    spikes: Shaped[np.ndarray, "..."],
    *,
    silent_below: float = 0.005,
    saturated_above: float = 0.6,
    frame_rate_hz: float | None = None,
) -> SpikeStatistics:
    """Return the spike statistics of one layer.

    Args:
        spikes: (..., frames, neurons), 0 where silent; on/off spikes of either sign count as one.
        silent_below: spikes per neuron and frame under which a neuron, or the layer, is silent.
        saturated_above: the same, over which it is saturated.
        frame_rate_hz: frames per second.

    Raises:
        ValueError: no frames or neurons, non-finite values, or graded values (not -1, 0, 1).
    """
    array = np.asarray(spikes)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"spikes have shape {array.shape}: expected (..., frames, neurons)")
    if not np.isin(array, (-1, 0, 1)).all():
        raise ValueError(
            f"spikes hold values from {array.min()} to {array.max()}: expected 0 or 1 (or -1); a "
            "bridge of kind `none` passes graded latents and has no spike rate"
        )
    rates = np.mean(array != 0, axis=tuple(range(array.ndim - 1)))
    rate = float(rates.mean())
    return SpikeStatistics(
        rate=rate,
        rate_hz=None if frame_rate_hz is None else rate * frame_rate_hz,
        silent_fraction=float(np.mean(rates < silent_below)),
        saturated_fraction=float(np.mean(rates > saturated_above)),
        neurons=rates.size,
        fault=_fault(rate, silent_below, saturated_above),
    )


def _fault(rate: float, silent_below: float, saturated_above: float) -> str | None:
    if rate < silent_below:
        return "silent"
    return "saturated" if rate > saturated_above else None
