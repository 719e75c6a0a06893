"""Glitches for the noise of a run: a bank of simulated ones, and the real ones found in it."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from ligo_cpc_snn.conditioning.excess_power import find_excess_power
from ligo_cpc_snn.conditioning.whitening import whiten
from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.banks import GlitchBank, NoiseBank, Transients, no_glitches
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.strain.glitches import draw_glitches

SHOWN = 12  # glitches of the gallery


def build_glitch_bank(
    blocks: Sequence[NoiseBlock], data: DataConfig, *, seed: int, name: str
) -> GlitchBank:
    """Simulate glitches, whitened as the noise is, of unit SNR within two windows.

    Detectors take turns, then families; blocks get glitches in proportion to their time.
    The middle of a glitch is the middle sample of its row.

    Args:
        blocks: noise with its filters; a block's place is the number of its PSD.
        data: band, window, families, size of the bank.
        seed, name: of the random stream, as 0 and "train".

    Returns:
        A bank, empty where no share of the examples gets a simulated glitch.

    Raises:
        ValueError: there is a family but no band that it is heard in, or no family.
    """
    window, rate = data.window_samples, data.sample_rate_hz
    if not data.glitches.synthetic_fraction:
        return no_glitches(2 * window)
    count, detectors = data.glitches.bank_size, len(data.detectors)
    families = np.array(data.glitches.families)[family_numbers(data, count)]
    rng = np.random.default_rng([seed, zlib.crc32(f"glitches {name}".encode())])
    detector = (np.arange(count) % detectors).astype(np.int32)
    psd = _blocks_by_time(blocks, count, window)
    strain = np.empty((count, 2 * window), np.float32)
    for row, family, number, which in zip(strain, families, psd, detector, strict=True):
        whitening = blocks[number].filters[which]
        seconds = (2 * window + 2 * whitening.crop) / rate
        shape = draw_glitches(rng, family, 1, rate, seconds, whitening.band_hz)[0]
        row[:] = whiten(shape, whitening)
        row /= np.linalg.norm(row)
    return GlitchBank(strain, detector, psd)


def family_numbers(data: DataConfig, count: int) -> Int[np.ndarray, "count"]:
    """Return the place in `data.glitches.families` of each glitch of a bank."""
    if not data.glitches.families:
        raise ValueError("data.glitches.families=[]: expected one or more, or synthetic_fraction=0")
    return np.arange(count) // len(data.detectors) % len(data.glitches.families)


class FoundTransients(NamedTuple):
    """Where transients are, and their SNRs and frequencies in Hz."""

    transients: Transients
    snr: Float[np.ndarray, "transient"]
    frequency_hz: Float[np.ndarray, "transient"]


def find_transients(noise: NoiseBank, data: DataConfig) -> Transients:
    """Find where crops of the noise hold a transient; see `scan_noise`."""
    return scan_noise(noise, data).transients


def scan_noise(noise: NoiseBank, data: DataConfig) -> FoundTransients:
    """Scan every stretch of the noise for excess power of an SNR of `scan_threshold`.

    A crop holds a transient when the loudest tile, from -1 to +1 standard deviation of its
    amplitude, lies in it, or as much of it as its stretch and a window can hold.
    """
    window, rate = data.window_samples, data.sample_rate_hz
    rows: list[tuple[int, int, int, float, float]] = []
    for detector, begin, end in _stretches(noise, window):
        strain = np.asarray(noise.strain[detector, begin:end])
        tiles = find_excess_power(strain, rate, data.band_hz, data.glitches.scan_threshold)
        for time, snr, frequency, duration in zip(*tiles[:4], strict=True):
            half = min(duration * rate, window) / 2
            edges = (time * rate + half - window, time * rate - half)
            first, last = np.clip(np.rint(edges), 0, end - begin - window).astype(int) + begin
            rows.append((detector, first, max(first, last), snr, frequency))
    detectors, firsts, lasts, snr, frequency = np.array(rows, np.float64).reshape(-1, 5).T
    transients = Transients(*(x.astype(np.int32) for x in (detectors, firsts, lasts)))
    return FoundTransients(transients, snr, frequency)


def gallery(
    bank: GlitchBank, found: FoundTransients, data: DataConfig
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return what a report shows of the glitches: some of each family, and all that were found.

    `glitch_strain` is whitened, of unit SNR, shape (n <= 12, time); `glitch_family` its places
    in `glitch_families`; `transient_detector` are places in data.detectors.
    """
    numbers = family_numbers(data, bank.strain.shape[0]) if bank.strain.shape[0] else np.zeros(0)
    # The first few of each family, family after family.
    each = SHOWN // max(len(data.glitches.families), 1)
    shown = [np.flatnonzero(numbers == i)[:each] for i in range(len(data.glitches.families))]
    rows = np.concatenate([*shown, np.zeros(0)]).astype(int)[:SHOWN]
    return {
        "glitch_strain": np.asarray(bank.strain)[rows].astype(np.float32),
        "glitch_family": numbers[rows].astype(np.int32),
        "glitch_families": np.array([family.value for family in data.glitches.families]),
        "sample_rate_hz": np.array(data.sample_rate_hz),
        "transient_detector": found.transients.detector,
        "transient_snr": found.snr,
        "transient_frequency_hz": found.frequency_hz,
    }


def _blocks_by_time(
    blocks: Sequence[NoiseBlock], count: int, window: int
) -> Int[np.ndarray, "count"]:
    """Return a block's number for each glitch, evenly spread over the blocks' crops."""
    sizes = [[next(iter(s.values())).strain.size for s in block.stretches] for block in blocks]
    ends = np.cumsum([sum(max(n - window + 1, 0) for n in of_block) for of_block in sizes])
    return np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1]).astype(np.int32)


def _stretches(noise: NoiseBank, window: int) -> list[tuple[int, int, int]]:
    """Return detector, first sample and end of each stretch of a bank."""
    found = []
    for detector, (starts, before, bounds) in enumerate(
        zip(*(np.asarray(x) for x in (noise.starts, noise.cumulative, noise.bounds)), strict=True)
    ):
        real = before < bounds[-1]  # the table is padded to the longest detector's
        crops = np.diff(before[real], append=bounds[-1])
        found += [
            (detector, int(start), int(start + n + window - 1))
            for start, n in zip(starts[real], crops, strict=True)
        ]
    return found
