"""How well triggers tell the time of signals, against how loud those are."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class TimingErrors(NamedTuple):
    """Absolute errors of found signals of a range of SNRs; `within` is a fraction of them."""

    snr_from: float
    snr_to: float
    found: int
    median_error_seconds: float
    error_95_seconds: float
    within_tolerance: float
    tolerance_seconds: float


def timing_by_snr(
    error_seconds: Float[np.ndarray, "n"],
    snr: Float[np.ndarray, "n"],
    *,
    edges: Sequence[float],
    tolerance_seconds: float = 0.3,
) -> list[TimingErrors]:
    """Return the errors of each SNR range [edge, next edge); those without a signal left out.

    Args:
        error_seconds: trigger's time minus the merger's at the geocentre.
        snr: of the signals.
        edges: of the ranges, rising.
    """
    told = []
    for low, high in itertools.pairwise(edges):
        away = np.abs(error_seconds[(snr >= low) & (snr < high)])
        if away.size:
            median, most = (float(q) for q in np.quantile(away, [0.5, 0.95]))
            within = float(np.mean(away <= tolerance_seconds))
            told.append(
                TimingErrors(
                    float(low), float(high), int(away.size), median, most, within, tolerance_seconds
                )
            )
    return told
