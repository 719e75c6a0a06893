"""Banks: what training examples are composed of, as arrays for the device.

Noise of each detector lies end to end in one array; a table says where its stretches
begin. Stretches are sorted by the number of the PSD they were whitened with, so that
the crops of one PSD are a range of integers and drawing one is a search in a table.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

HostOrDevice = np.ndarray | Array  # made on the host, put on the device once
NEVER = np.iinfo(np.int32).max


class NoiseBank(NamedTuple):
    """Whitened noise of every detector and where crops of a window may begin.

    `cumulative[d, i]` is the number of crops before stretch i, `bounds[d, p]` before
    PSD p; `starts[d, i]` is where stretch i begins in `strain[d]`.
    """

    strain: Float[HostOrDevice, "detector time"]
    starts: Int[HostOrDevice, "detector stretch"]
    cumulative: Int[HostOrDevice, "detector stretch"]
    bounds: Int[HostOrDevice, "detector psd_edge"]


class SignalBank(NamedTuple):
    """Whitened signals of unit network SNR, and per detector the number of their PSD.

    `snr` is the network SNR that each has at the distance drawn for it.
    """

    strain: Float[HostOrDevice, "signal detector time"]
    psd: Int[HostOrDevice, "signal detector"]
    snr: Float[HostOrDevice, "signal"]


class GlitchBank(NamedTuple):
    """Whitened simulated glitches of unit SNR, each for one detector and one PSD."""

    strain: Float[HostOrDevice, "glitch time"]
    detector: Int[HostOrDevice, "glitch"]
    psd: Int[HostOrDevice, "glitch"]


class Transients(NamedTuple):
    """Transients found in the noise: crops of `detector` that begin in `first..last` hold one."""

    detector: Int[HostOrDevice, "transient"]
    first: Int[HostOrDevice, "transient"]
    last: Int[HostOrDevice, "transient"]


class HardCrops(NamedTuple):
    """Noise the current model takes for signals: where its crops begin; `filled` of them are."""

    starts: Int[HostOrDevice, "crop detector"]
    filled: Int[HostOrDevice, ""]


class Banks(NamedTuple):
    """Noise, signals and glitches that were whitened with the same numbered PSDs."""

    noise: NoiseBank
    signals: SignalBank
    glitches: GlitchBank
    transients: Transients


def no_glitches(samples: int) -> GlitchBank:
    """Return a bank of no simulated glitches, which would have `samples` samples."""
    nothing = np.zeros(0, np.int32)
    return GlitchBank(np.zeros((0, samples), np.float32), nothing, nothing)


def no_transients() -> Transients:
    """Return a list of no transients."""
    nothing = np.zeros(0, np.int32)
    return Transients(nothing, nothing, nothing)


class Stretch(NamedTuple):
    """A continuous piece of one detector's whitened noise and the number of its PSD."""

    strain: Float[np.ndarray, "time"]
    psd: int


def build_noise_bank(stretches: Sequence[Sequence[Stretch]], window: int) -> NoiseBank:
    """Lay out noise for drawing crops of `window` samples.

    Args:
        stretches: of each detector; those shorter than a window are not used.
        window: samples.

    Raises:
        ValueError: when a detector has no crop for a PSD that another detector has.
    """
    kept = [[s for s in detector if s.strain.size >= window] for detector in stretches]
    numbers = sorted({s.psd for detector in kept for s in detector})
    if not numbers:
        longest = max((s.strain.size for detector in stretches for s in detector), default=0)
        raise ValueError(
            f"no noise stretch holds a window of {window} samples, the longest has {longest}: "
            "lower data.window_seconds or give longer strain"
        )
    tables = [_table(detector, numbers, window, d) for d, detector in enumerate(kept)]
    strain = [np.concatenate([s.strain for s in _sorted(detector)]) for detector in kept]
    return NoiseBank(
        _padded(strain, 0.0).astype(np.float32),
        _padded([t[0] for t in tables], 0),
        _padded([t[1] for t in tables], NEVER),
        np.stack([t[2] for t in tables]),
    )


def _table(
    stretches: Sequence[Stretch], numbers: Sequence[int], window: int, detector: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, cumulative crops and the bounds of each PSD number of one detector."""
    ordered = _sorted(stretches)
    sizes = np.array([s.strain.size for s in ordered])
    crops = sizes - window + 1
    psd = np.array([s.psd for s in ordered])
    per_psd = np.array([crops[psd == p].sum() for p in range(max(numbers) + 1)])
    missing = [p for p in numbers if per_psd[p] == 0]
    if missing:
        raise ValueError(
            f"detector number {detector} has no noise of PSD number {missing[0]}, another "
            "detector has: give noise of every detector for every PSD"
        )
    before = np.concatenate([[0], np.cumsum(crops)[:-1]])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    bounds = np.concatenate([[0], np.cumsum(per_psd)])
    return starts.astype(np.int32), before.astype(np.int32), bounds.astype(np.int32)


def _sorted(stretches: Sequence[Stretch]) -> list[Stretch]:
    return sorted(stretches, key=lambda s: s.psd)


def _padded(rows: Sequence[np.ndarray], fill: float | int) -> np.ndarray:
    width = max(row.size for row in rows)
    return np.stack([np.pad(row, (0, width - row.size), constant_values=fill) for row in rows])
