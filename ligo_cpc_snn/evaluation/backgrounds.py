"""Noise to inject into: simulated, or recorded strain slid so that no two detectors coincide."""

import math
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.data_schema import DataConfig, PsdKind
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.curves import Asd, aligo_curve, perturbed, read_asd
from ligo_cpc_snn.strain.noise import coloured_noise

KINDS = ("background", "foreground")
GPS_START = 1238205077  # the challenge's; times of a campaign are made up
GAP_SECONDS = 64  # between segments
NOTHING = 1e-30  # strain/sqrt(Hz) below the lowest frequency
SHARPNESS = 1e-4  # width of the cut there, as a fraction of the frequency


class NoiseSegment(NamedTuple):
    """Noise of all detectors from GPS s `start`, and the densities it has."""

    start: int
    strain: dict[str, Float[np.ndarray, "time"]]
    curves: dict[str, Asd]


def simulated_noise(cfg: CampaignConfig, kind: str) -> Iterator[NoiseSegment]:
    """Yield Gaussian noise, cut below `noise_lowest_hz`, with one density in each segment.

    Every segment is a function of seed, kind and number only.

    Args:
        cfg: Lengths, seed, and the densities: `data.psd`, `data.synthetic.psd_files`.
        kind: background or foreground.
    """
    data, lengths = cfg.data, segment_lengths(_seconds(cfg, kind), cfg.segment_seconds)
    start = GPS_START + (kind == "foreground") * _reserved(cfg)
    for number, length in enumerate(lengths):
        curves, strain = {}, {}
        for detector in data.detectors:
            name = zlib.crc32(f"campaign {kind} {detector}".encode())
            rng = np.random.default_rng([cfg.seed, name, number])
            curves[detector] = cut_below(_curve(data, detector, rng), cfg.noise_lowest_hz)
            samples = length * data.sample_rate_hz
            strain[detector] = coloured_noise(
                rng, curves[detector], samples=samples, sample_rate_hz=data.sample_rate_hz
            )
        yield NoiseSegment(start, strain, curves)
        start += length + GAP_SECONDS


def slid_noise(
    parts: Sequence[Coincident], cfg: CampaignConfig, kind: str
) -> Iterator[NoiseSegment]:
    """Yield recorded strain in which each detector's is of another time.

    Slide k joins piece i of the first detector with piece i + k of the second, i + 2 k of the
    third (numbers on a circle); slides with coinciding pieces are left out, and background
    and foreground take different ones. Densities are estimated from each piece.

    Args:
        parts: Coincident strain without events, at the campaign's sample rate.
        cfg: Lengths and seed.
        kind: background or foreground.

    Raises:
        ValueError: There are not enough pieces for that much time.
    """
    data, wanted = cfg.data, _seconds(cfg, kind)
    pieces = [p for part in parts for p in _pieces(part, cfg.segment_seconds)]
    start, made = GPS_START + (kind == "foreground") * _reserved(cfg), 0.0
    for shift in _shifts(len(pieces), len(data.detectors), kind, cfg.seed):
        for first in range(len(pieces)):
            if made >= wanted:
                return
            chosen = {
                name: pieces[(first + order * shift) % len(pieces)][name]
                for order, name in enumerate(data.detectors)
            }
            size = min(segment.strain.size for segment in chosen.values())
            yield NoiseSegment(
                start,
                {name: segment.strain[:size] for name, segment in chosen.items()},
                {name: _estimate(segment.strain, data) for name, segment in chosen.items()},
            )
            length = size / data.sample_rate_hz
            made += length
            start += math.ceil(length) + GAP_SECONDS
    if made < wanted:
        raise ValueError(
            f"{kind}_seconds={wanted:g}: time slides of {len(pieces)} pieces of recorded strain "
            f"give {made:.0f} s, ask for less or give more strain"
        )


def segment_lengths(seconds: float, longest: float) -> list[int]:
    """Return lengths of equal segments in whole s that are `seconds` together, rounded up."""
    count = math.ceil(seconds / longest)
    return [math.ceil(seconds / count)] * count


def cut_below(curve: Asd, lowest_hz: float) -> Asd:
    """Return a curve that is nothing below a frequency, as the challenge's noise."""
    if lowest_hz <= curve.frequencies[0]:
        # The curve's first value would be held below it.
        lowest_hz = float(curve.frequencies[0]) * (1 + 2 * SHARPNESS)
    kept = curve.frequencies > lowest_hz
    edge = np.array([lowest_hz * (1 - SHARPNESS), lowest_hz])
    values = np.array([NOTHING, float(curve.at(edge[1:])[0])])
    return Asd(
        np.concatenate([edge, curve.frequencies[kept]]),
        np.concatenate([values, curve.values[kept]]),
        curve.name,
    )


def first_curve(cfg: CampaignConfig) -> Asd:
    """Return a density of the first detector, to place templates with."""
    detector = cfg.data.detectors[0]
    name = zlib.crc32(f"campaign background {detector}".encode())
    return _curve(cfg.data, detector, np.random.default_rng([cfg.seed, name, 0]))


def _seconds(cfg: CampaignConfig, kind: str) -> float:
    if kind not in KINDS:
        raise ValueError(f"noise of kind {kind!r}: expected {' or '.join(KINDS)}")
    return cfg.background_seconds if kind == "background" else cfg.foreground_seconds


def _reserved(cfg: CampaignConfig) -> int:
    """Return more time than the background takes with its gaps, in s; pieces may be short."""
    shortest = min(cfg.segment_seconds, cfg.data.real.minimum_seconds)
    return math.ceil(cfg.background_seconds * (1 + GAP_SECONDS / shortest)) + GAP_SECONDS


def _curve(data: DataConfig, detector: str, rng: np.random.Generator) -> Asd:
    """Return the density of a segment; `data.psd.kind` decides, as in training."""
    files = data.psd.files.get(detector, [])
    if data.psd.kind is PsdKind.drawn:
        if not files:
            raise ValueError(
                f"data.psd.kind=drawn without data.psd.files.{detector}: expected files of Hz "
                "and strain/sqrt(Hz) to draw from"
            )
        return read_asd(files[int(rng.integers(len(files)))])
    path = data.synthetic.psd_files.get(detector)
    curve = read_asd(path) if path else aligo_curve(data.sample_rate_hz / 2)
    if data.psd.kind is PsdKind.fixed:
        return curve
    octaves = data.psd.perturbation_octaves
    return perturbed(curve, rng, rms=data.psd.perturbation, octaves=octaves)


def _pieces(part: Coincident, longest: float) -> Iterator[Coincident]:
    """Cut coincident strain in equal pieces of at most `longest` seconds."""
    first = next(iter(part.values()))
    count = math.ceil(first.duration / longest)
    edges = np.linspace(0, first.strain.size, count + 1).astype(int)
    for low, high in pairwise(edges):
        yield {name: segment.samples(int(low), int(high)) for name, segment in part.items()}


def _shifts(pieces: int, detectors: int, kind: str, seed: int) -> list[int]:
    """Return the slides of a kind, in random order: every other of those without coincidence."""
    apart = [
        shift
        for shift in range(1, pieces)
        if len({order * shift % pieces for order in range(detectors)}) == detectors
    ]
    mixed = np.random.default_rng([seed, zlib.crc32(b"slides")]).permutation(apart)
    return [int(shift) for shift in mixed[KINDS.index(kind) :: 2]]


def _estimate(strain: Float[np.ndarray, "time"], data: DataConfig) -> Asd:
    frequencies, values = median_welch_asd(strain, data.sample_rate_hz, data.psd_segment_seconds)
    return Asd(frequencies[1:], values[1:], "estimate")
