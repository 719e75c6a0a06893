"""Noise from recorded strain: split, whitened with its own PSD or recoloured, and judged.

The order makes the sets strangers: strain is cut between them before it is resampled, its
PSD estimated and whitened, so that no sample of one set is in another's.
"""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ligo_cpc_snn.conditioning.recolouring import Curve, design_recolouring
from ligo_cpc_snn.conditioning.whitening import (
    CentredFilter,
    WhiteningFilter,
    apply_filter,
    design_filter,
)
from ligo_cpc_snn.config.data_schema import DataConfig, Source
from ligo_cpc_snn.config.durations import chirp_time
from ligo_cpc_snn.dataset.noise import (
    NoiseBlock,
    estimated_curves,
    filter_of_curve,
    whiten_segment,
)
from ligo_cpc_snn.dataset.psds import Curves, target_curves
from ligo_cpc_snn.dataset.rejection import Quality, judge_noise, without_rejected
from ligo_cpc_snn.dataset.splits import Set, by_set, check_shares, cut_between_sets
from ligo_cpc_snn.strain.coincidence import Coincident, coincident, common_time
from ligo_cpc_snn.strain.curves import Asd
from ligo_cpc_snn.strain.resampling import resample_all
from ligo_cpc_snn.strain.segments import (
    Span,
    StrainSegment,
    cut_spans,
    drop_short,
    without_dropouts,
)

log = logging.getLogger(__name__)

# Events with a neutron star are in the band for longer than any margin that suits black holes.
# Masses, in solar masses, of the detector's frame (source's times 1 + z), medians rounded:
# Abbott et al. 2019 (PRX 9, 011001), 2020 (ApJL 892, L3; ApJL 896, L44), 2021 (ApJL 915, L5),
# 2024 (ApJL 970, L34). GWOSC adds the time of day to the name of some.
NEUTRON_STARS = {
    "GW170817": (1.49, 1.28),
    "GW190425": (1.81, 1.62),
    "GW190814": (24.4, 2.72),
    "GW200105": (9.4, 2.0),
    "GW200115": (6.1, 1.6),
    "GW230529": (3.8, 1.5),
}


class RecordedNoise(NamedTuple):
    """Whitened noise of each set; `quality` judges it, or is None where none is asked for."""

    training: list[NoiseBlock]
    validation: list[NoiseBlock]
    test: list[NoiseBlock]
    quality: Quality | None


def real_noise(
    segments: Iterable[StrainSegment],
    data: DataConfig,
    events: Mapping[str, float],
    seed: int = 0,
) -> RecordedNoise:
    """Whiten recorded strain, without its known events, split by its GPS blocks.

    Bad stretches (see `dataset.rejection`) are cut from the training noise, unless
    `data.glitches.real_fraction` asks for the glitches in it. Validation and test keep them:
    a background without its glitches would flatter the detector.

    Args:
        segments: of any length and rate; `data.real.exclude_gps` is cut out of them first.
        data: rate, band, split, quality; with `data.source=recoloured` the strain is
            brought to the curves of `data.psd` and treated as strain of these.
        events: GPS times of known events; cut out after whitening, with a margin.
        seed: of the curves drawn for recolouring.

    Raises:
        ValueError: No common time, a set without noise, or strain that cannot be whitened.
    """
    parts = _split(segments, data)
    spans = [event_span(name, gps, data) for name, gps in events.items()]
    noise = {kind: _whiten_parts(parts[kind], data, spans, seed, kind) for kind in Set}
    for kind in Set:
        if parts[kind] and not noise[kind]:
            raise ValueError(
                f"no {kind.value} noise is left of {len(parts[kind])} stretches: expected one of "
                f"{_needed(data):g} s or more; give longer strain, raise data.real.block_seconds, "
                "or change data.real.minimum_seconds or exclude_gps"
            )
    quality = None
    if data.quality.reject:
        by_kind = {kind: [s for block in noise[kind] for s in block.stretches] for kind in Set}
        quality = judge_noise(by_kind, data)
        if data.glitches.real_fraction == 0:
            noise[Set.training] = without_rejected(noise[Set.training], quality, data)
    return RecordedNoise(noise[Set.training], noise[Set.validation], noise[Set.test], quality)


def event_span(name: str, gps: float, data: DataConfig) -> Span:
    """Return what is cut out for a known event: longer before a neutron star's merger.

    Whitening spreads a signal by half of its filter; a margin shorter than that leaves little.
    """
    margin = before = data.real.event_margin_seconds
    for day, masses in NEUTRON_STARS.items():
        if name.startswith(day):
            lasts = chirp_time(*masses, 0.0, 0.0, data.band_hz[0])
            before = max(margin, lasts + data.filter_seconds / 2)
    return gps - before, gps + margin


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


def _split(segments: Iterable[StrainSegment], data: DataConfig) -> dict[Set, list[Coincident]]:
    """Return the coincident strain of each set, at the run's sample rate."""
    real = data.real
    kept = cut_spans(segments, [parse_span(text) for text in real.exclude_gps])
    kept = cut_between_sets(without_dropouts(kept), real)
    # Never joined from here on: what was recorded at different rates was conditioned apart.
    kept = resample_all(kept, data.sample_rate_hz, data.band_hz[1])
    coincident(kept, data.detectors, real.minimum_seconds)  # raises where there is none at all
    parts = {
        kind: common_time(own, data.detectors, real.minimum_seconds)
        for kind, own in by_set(kept, real).items()
    }
    check_shares(parts, real)
    return parts


def _needed(data: DataConfig) -> float:
    """Return the least length in s: a PSD, the filters' edges and a window."""
    filters = 2 if data.source is Source.recoloured else 1
    edges = filters * data.filter_seconds
    return max(2 * data.psd_segment_seconds, edges + data.window_seconds)


def _whiten_parts(
    parts: Sequence[Coincident], data: DataConfig, spans: Sequence[Span], seed: int, kind: Set
) -> list[NoiseBlock]:
    needed, pieces = _needed(data), []
    for part in (piece for whole in parts for piece in _pieces(whole, data.real.psd_seconds)):
        first = part[data.detectors[0]]
        if first.duration >= needed:
            pieces.append(part)
        else:
            log.info(
                "left out %.1f s at GPS %.0f: a PSD, the filter's edges and a window need %g s",
                first.duration, first.gps_start, needed,
            )  # fmt: skip
    curves = [estimated_curves(part, data, data.detectors) for part in pieces]
    if data.source is Source.recoloured:
        blocks = _recoloured(pieces, curves, data, seed, kind)
    else:
        blocks = [_own_block(part, own, data) for part, own in zip(pieces, curves, strict=True)]
    cut = [block._replace(stretches=_without(block, data, spans)) for block in blocks]
    return [block for block in cut if block.stretches]


def _own_block(part: Coincident, curves: Mapping[str, Curve], data: DataConfig) -> NoiseBlock:
    """Whiten a piece with its own PSD."""
    rate, seconds, band = data.sample_rate_hz, data.filter_seconds, data.band_hz
    filters = tuple(design_filter(*curves[d], rate, seconds, band) for d in data.detectors)
    return NoiseBlock(filters, [_whitened(part, filters, data)])


def _recoloured(
    pieces: Sequence[Coincident],
    curves: Sequence[Mapping[str, Curve]],
    data: DataConfig,
    seed: int,
    kind: Set,
) -> list[NoiseBlock]:
    """Recolour pieces, each to one set of curves in turn, and whiten them with these."""
    if not pieces:
        return []
    own = [{d: _as_asd(curve, d) for d, curve in of_piece.items()} for of_piece in curves]
    targets = target_curves(data, seed, kind.value, own)[: len(pieces)]
    blocks = []
    for number, target in enumerate(targets):
        filters = tuple(filter_of_curve(data, target[d]) for d in data.detectors)
        mine = range(number, len(pieces), len(targets))
        stretches = [
            _whitened(_recolour(pieces[i], curves[i], target, data), filters, data) for i in mine
        ]
        blocks.append(NoiseBlock(filters, stretches))
    return blocks


def _recolour(
    part: Coincident, curves: Mapping[str, Curve], target: Curves, data: DataConfig
) -> Coincident:
    rate = data.sample_rate_hz
    frequencies = np.linspace(0.0, rate / 2, 8 * rate + 1)
    recoloured = {}
    for name in data.detectors:
        wanted = frequencies, target[name].at(frequencies)
        colouring: CentredFilter = design_recolouring(
            curves[name], wanted, rate, data.filter_seconds, data.band_hz
        )
        start = part[name].gps_start + colouring.seconds_before
        strain = apply_filter(part[name].strain, colouring)
        recoloured[name] = replace(part[name], strain=strain, gps_start=start)
    return recoloured


def _whitened(part: Coincident, filters: Sequence[WhiteningFilter], data: DataConfig) -> Coincident:
    return {
        name: whiten_segment(part[name], whitening)
        for name, whitening in zip(data.detectors, filters, strict=True)
    }


def _without(block: NoiseBlock, data: DataConfig, spans: Sequence[Span]) -> list[Coincident]:
    """Return a block's stretches without spans of time."""
    kept: list[Coincident] = []
    for stretch in block.stretches:
        long_enough = drop_short(cut_spans(stretch.values(), spans), data.window_seconds)
        kept += common_time(long_enough, data.detectors)
    return kept


def _as_asd(curve: Curve, name: str) -> Asd:
    """Return an estimate as a curve, without frequencies at which it is 0."""
    frequencies, asd = curve
    usable = (frequencies > 0) & (asd > 0)
    return Asd(frequencies[usable], asd[usable], f"estimate of {name}")


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
