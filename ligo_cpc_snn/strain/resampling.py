"""Bring strain to one sample rate."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from scipy import signal

from ligo_cpc_snn.strain.segments import StrainSegment

log = logging.getLogger(__name__)

HIGHEST_FRACTION = 0.45  # of the sample rate: above it decimation filters attenuate


def resample(segment: StrainSegment, sample_rate_hz: int, highest_hz: float) -> StrainSegment:
    """Change the sample rate with a polyphase filter; the first sample keeps its time.

    Args:
        segment: The segment.
        sample_rate_hz: Rate wanted; may be higher than the segment's own.
        highest_hz: Upper end of the band that will be used, in Hz.

    Raises:
        ValueError: The segment's own rate does not carry `highest_hz`.
    """
    own = segment.sample_rate_hz
    if highest_hz > HIGHEST_FRACTION * min(own, sample_rate_hz):
        raise ValueError(
            f"{segment.source}: strain of {segment.detector} at {own} Hz has nothing trustworthy "
            f"above {HIGHEST_FRACTION * own:g} Hz, the band ends at {highest_hz:g} Hz: set "
            f"data.lowpass_hz={HIGHEST_FRACTION * own:g} or lower, or use files of a higher rate"
        )
    if own == sample_rate_hz:
        return segment
    ratio = Fraction(sample_rate_hz, own)
    strain = signal.resample_poly(
        segment.strain, ratio.numerator, ratio.denominator, padtype="line"
    )
    return replace(segment, sample_rate_hz=sample_rate_hz, strain=strain)


def resample_all(
    segments: Iterable[StrainSegment], sample_rate_hz: int, highest_hz: float
) -> list[StrainSegment]:
    """Bring segments to one sample rate (see `resample`); says once what was interpolated."""
    segments = list(segments)
    lower = [s for s in segments if s.sample_rate_hz < sample_rate_hz]
    if lower:
        rates = ", ".join(str(rate) for rate in sorted({s.sample_rate_hz for s in lower}))
        log.warning(
            "%.0f s of strain at %s Hz are interpolated to %d Hz and hold nothing above %g Hz",
            sum(s.duration for s in lower),
            rates,
            sample_rate_hz,
            min(s.sample_rate_hz for s in lower) / 2,
        )
    return [resample(segment, sample_rate_hz, highest_hz) for segment in segments]
