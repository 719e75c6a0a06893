"""Bring strain to the detector's sample rate as it arrives."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ligo_cpc_snn.strain.resampling import resample
from ligo_cpc_snn.strain.segments import StrainSegment

REACH = 10  # of scipy's polyphase filter, in samples of the lower of the two rates


class LiveResampling:
    """Resamples one unbroken stretch of one detector's strain, in pieces of any length.

    What comes out are the samples of the whole stretch resampled at once, but for the first few
    and, where the rate is raised, the ripple of the filter. The last few wait for what follows.

    Args:
        sample_rate_hz: wanted.
        highest_hz: upper end of the band that will be used, Hz.
    """

    def __init__(self, sample_rate_hz: int, highest_hz: float) -> None:
        self.sample_rate_hz, self.highest_hz = sample_rate_hz, highest_hz
        self._held: StrainSegment | None = None
        self._next = 0  # sample that comes out next, counted from the first of `_held`

    def feed(self, piece: StrainSegment) -> StrainSegment:
        """Return the strain, at the rate wanted, that this piece completes."""
        own = piece.sample_rate_hz
        if own == self.sample_rate_hz:
            return resample(piece, self.sample_rate_hz, self.highest_hz)
        if self._held is not None:
            strain = np.concatenate([self._held.strain, piece.strain])
            piece = replace(self._held, strain=strain)
        ratio = Fraction(self.sample_rate_hz, own)
        reach = REACH * max(1, math.ceil(1 / ratio)) + 1
        ready = max(math.floor((piece.strain.size - reach) * ratio), self._next)
        out = resample(piece, self.sample_rate_hz, self.highest_hz).samples(self._next, ready)
        # Whole periods of the two rates are dropped, so that their samples stay in step.
        periods = max(math.floor((ready / ratio - 2 * reach) / ratio.denominator), 0)
        self._next = ready - periods * ratio.numerator
        self._held = piece.samples(periods * ratio.denominator, piece.strain.size)
        return out
