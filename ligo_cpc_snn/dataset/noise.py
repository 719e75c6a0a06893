"""Whitened noise in blocks that share a PSD: what it is, how strain becomes it, and simulated.

Recorded noise is made in `dataset/recorded.py`.
"""

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ligo_cpc_snn.conditioning.psd import loudest_tone, median_welch_asd
from ligo_cpc_snn.conditioning.recolouring import Curve
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, whiten
from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.psds import target_curves
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.curves import Asd
from ligo_cpc_snn.strain.noise import coloured_noise
from ligo_cpc_snn.strain.segments import StrainSegment

log = logging.getLogger(__name__)

MOST_IN_ONE_HERTZ = 0.3  # of the SNR squared; a detector's curve has 0.02


class NoiseBlock(NamedTuple):
    """Coincident whitened noise and the filters, one per detector, that whitened it."""

    filters: tuple[WhiteningFilter, ...]
    stretches: list[Coincident]

    @property
    def seconds(self) -> float:
        """Coincident time in s."""
        return sum(next(iter(stretch.values())).duration for stretch in self.stretches)


def synthetic_noise(data: DataConfig, seconds: float, seed: int, name: str) -> list[NoiseBlock]:
    """Simulate stationary Gaussian noise, independent in each detector, and whiten it.

    Args:
        data: curves, sample rate and band.
        seconds: of whitened noise, shared equally by the blocks.
        seed: of the run.
        name: of the random stream, as "train".

    Returns:
        One block for each set of curves (see `target_curves`); the filters are designed from
        the known curves, not from estimates.
    """
    curves = target_curves(data, seed, name)
    edges = np.linspace(0, round(seconds * data.sample_rate_hz), len(curves) + 1).round()
    return [
        _synthetic_block(data, of_detector, int(samples), (seed, name, number))
        for number, (of_detector, samples) in enumerate(zip(curves, np.diff(edges), strict=True))
    ]


def _synthetic_block(
    data: DataConfig, curves: Mapping[str, Asd], samples: int, stream: tuple[int, str, int]
) -> NoiseBlock:
    rate, (seed, name, number) = data.sample_rate_hz, stream
    filters, stretch = [], {}
    for detector in data.detectors:
        asd = curves[detector]
        whitening = filter_of_curve(data, asd)
        rng = np.random.default_rng([seed, zlib.crc32(f"{name} {detector}".encode()), number])
        strain = coloured_noise(rng, asd, samples=samples + 2 * whitening.crop, sample_rate_hz=rate)
        segment = StrainSegment(detector, 0.0, rate, strain, asd.name)
        filters.append(whitening)
        stretch[detector] = whiten_segment(segment, whitening)
    return NoiseBlock(tuple(filters), [stretch])


def whiten_segment(segment: StrainSegment, whitening: WhiteningFilter) -> StrainSegment:
    """Whiten a segment; its start moves by the samples that the filter's edge costs."""
    start = segment.gps_start + whitening.crop / segment.sample_rate_hz
    return replace(segment, strain=whiten(segment.strain, whitening), gps_start=start)


def filter_of_curve(data: DataConfig, asd: Asd) -> WhiteningFilter:
    """Design the filter of a known curve."""
    frequencies = np.linspace(0.0, data.sample_rate_hz / 2, 8 * data.sample_rate_hz + 1)
    return design_filter(
        frequencies, asd.at(frequencies), data.sample_rate_hz, data.filter_seconds, data.band_hz
    )


def estimated_curves(
    part: Coincident, data: DataConfig, detectors: Sequence[str]
) -> dict[str, Curve]:
    """Estimate each detector's PSD from the strain itself, by median Welch.

    No stretch is left out of the estimate: the median is not moved by the few that are bad,
    and so training, validation and search whiten by one function of the strain alone.

    Raises:
        ValueError: The strain is too short, not finite, or constant.
    """
    estimates = {}
    for name in detectors:
        strain = part[name].strain
        try:
            estimates[name] = median_welch_asd(
                strain, data.sample_rate_hz, data.psd_segment_seconds
            )
        except ValueError as error:
            where = f"{name} from GPS {part[name].gps_start:.1f} ({part[name].source})"
            raise ValueError(f"no PSD of {where}: {error}") from error
        _warn_of_notch(part[name], estimates[name], data)
    return estimates


def _warn_of_notch(segment: StrainSegment, curve: Curve, data: DataConfig) -> None:
    share, hertz = loudest_tone(*curve, data.band_hz)
    if share > MOST_IN_ONE_HERTZ:
        log.warning(
            "%s: strain of %s from GPS %.0f was filtered: %.0f %% of a signal's SNR would be in "
            "one Hz at %.0f Hz; leave it out by data.real.exclude_files or exclude_gps",
            segment.source, segment.detector, segment.gps_start, 100 * share, hertz,
        )  # fmt: skip


def estimated_filters(
    part: Coincident, data: DataConfig, detectors: Sequence[str]
) -> tuple[WhiteningFilter, ...]:
    """Design each detector's filter from the PSD of the strain itself (`estimated_curves`)."""
    return tuple(
        design_filter(frequencies, asd, data.sample_rate_hz, data.filter_seconds, data.band_hz)
        for frequencies, asd in estimated_curves(part, data, detectors).values()
    )
