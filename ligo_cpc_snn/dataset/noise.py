"""Whitened noise, simulated or recorded, in blocks that share a PSD."""

import itertools
import logging
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, whiten
from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.strain.coincidence import Coincident, coincident, split_by_time
from ligo_cpc_snn.strain.curves import Asd, aligo_curve, read_asd
from ligo_cpc_snn.strain.noise import coloured_noise
from ligo_cpc_snn.strain.resampling import resample_all
from ligo_cpc_snn.strain.segments import (
    Span,
    StrainSegment,
    cut_spans,
    drop_short,
)

log = logging.getLogger(__name__)


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
        seconds: of whitened noise.
        seed: of the run.
        name: of the random stream, as "train".

    Returns:
        One block; the filters are designed from the known curves, not from estimates.
    """
    rate = data.sample_rate_hz
    filters, stretch = [], {}
    for detector in data.detectors:
        asd = detector_curve(data, detector)
        whitening = _filter_of_curve(data, asd)
        rng = np.random.default_rng([seed, zlib.crc32(f"{name} {detector}".encode())])
        samples = round(seconds * rate) + 2 * whitening.crop
        strain = coloured_noise(rng, asd, samples=samples, sample_rate_hz=rate)
        segment = StrainSegment(detector, 0.0, rate, strain, asd.name)
        filters.append(whitening)
        stretch[detector] = whiten_segment(segment, whitening)
    return [NoiseBlock(tuple(filters), [stretch])]


def detector_curve(data: DataConfig, detector: str) -> Asd:
    """Return the design curve of a detector: its PSD file, or the analytic aLIGO curve."""
    path = data.synthetic.psd_files.get(detector)
    return read_asd(path) if path else aligo_curve(data.sample_rate_hz / 2)


def real_noise(
    segments: Iterable[StrainSegment], data: DataConfig, events: Mapping[str, float]
) -> tuple[list[NoiseBlock], list[NoiseBlock]]:
    """Whiten recorded strain, without its known events, split in time.

    Args:
        segments: of any length and rate; `data.real.exclude_gps` is cut out of them first.
        data: rate, band, split.
        events: GPS times of known events; cut out after whitening, with a margin.

    Returns:
        Training blocks, the earlier, and validation blocks, the later.
    """
    real = data.real
    kept = cut_spans(segments, [parse_span(text) for text in real.exclude_gps])
    # Never joined from here on: what was recorded at different rates was conditioned apart.
    kept = resample_all(kept, data.sample_rate_hz, data.band_hz[1])
    parts = coincident(kept, data.detectors, real.minimum_seconds)
    spans = [
        (t - real.event_margin_seconds, t + real.event_margin_seconds) for t in events.values()
    ]
    train, validation = split_by_time(parts, real.validation_fraction)
    return _whiten_parts(train, data, spans), _whiten_parts(validation, data, spans)


def parse_span(text: str) -> Span:
    """Read "start-end" in GPS s."""
    start, _, end = text.partition("-")
    try:
        span = float(start), float(end)
    except ValueError as error:
        raise ValueError(
            f"data.real.exclude_gps={text!r}: expected start-end in GPS s, as 1126259446-1126259479"
        ) from error
    return span


def whiten_segment(segment: StrainSegment, whitening: WhiteningFilter) -> StrainSegment:
    """Whiten a segment; its start moves by the samples that the filter's edge costs."""
    start = segment.gps_start + whitening.crop / segment.sample_rate_hz
    return replace(segment, strain=whiten(segment.strain, whitening), gps_start=start)


def estimated_filters(
    part: Coincident, data: DataConfig, detectors: Sequence[str]
) -> tuple[WhiteningFilter, ...]:
    """Design each detector's filter from a median-Welch PSD of the strain itself."""
    rate, band = data.sample_rate_hz, data.band_hz
    estimates = []
    for name in detectors:
        try:
            estimates.append(median_welch_asd(part[name].strain, rate, data.psd_segment_seconds))
        except ValueError as error:
            where = f"{name} from GPS {part[name].gps_start:.1f} ({part[name].source})"
            raise ValueError(f"no PSD of {where}: {error}") from error
    return tuple(design_filter(f, asd, rate, data.filter_seconds, band) for f, asd in estimates)


def _whiten_parts(
    parts: Sequence[Coincident], data: DataConfig, spans: Sequence[Span]
) -> list[NoiseBlock]:
    needed = max(2 * data.psd_segment_seconds, data.filter_seconds + data.window_seconds)
    blocks = []
    for part in (piece for whole in parts for piece in _pieces(whole, data.real.psd_seconds)):
        first = part[data.detectors[0]]
        if first.duration < needed:
            log.info(
                "left out %.1f s at GPS %.0f: a PSD, the filter's edges and a window need %g s",
                first.duration, first.gps_start, needed,
            )  # fmt: skip
            continue
        filters = estimated_filters(part, data, data.detectors)
        whitened = [
            whiten_segment(part[name], whitening)
            for name, whitening in zip(data.detectors, filters, strict=True)
        ]
        kept = drop_short(cut_spans(whitened, spans), data.window_seconds)
        if kept:
            blocks.append(NoiseBlock(filters, coincident(kept, data.detectors)))
    return blocks


def _pieces(part: Coincident, seconds: float) -> list[Coincident]:
    """Cut a stretch into equal pieces no longer than `seconds`."""
    size = next(iter(part.values())).strain.size
    rate = next(iter(part.values())).sample_rate_hz
    number = max(1, -(-size // round(seconds * rate)))
    edges = np.linspace(0, size, number + 1).round().astype(int)
    return [
        {name: s.samples(int(a), int(b)) for name, s in part.items()}
        for a, b in itertools.pairwise(edges)
    ]


def _filter_of_curve(data: DataConfig, asd: Asd) -> WhiteningFilter:
    frequencies = np.linspace(0.0, data.sample_rate_hz / 2, 8 * data.sample_rate_hz + 1)
    return design_filter(
        frequencies, asd.at(frequencies), data.sample_rate_hz, data.filter_seconds, data.band_hz
    )
