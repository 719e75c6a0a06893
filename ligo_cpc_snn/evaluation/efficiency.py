"""Detection efficiency: the fraction of signals found, against their SNR."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ligo_cpc_snn.evaluation.metrics import (
    CONFIDENCE,
    Estimate,
    Threshold,
    UnresolvedRateError,
    auc,
    fraction_above,
    threshold_at,
)


@dataclass(frozen=True)
class EfficiencyCurve:
    """Fraction found at each SNR for one false-positive rate."""

    threshold: Threshold
    rates: list[Estimate]
    snr_50: float | None  # network SNR at which half is found; None: outside the SNRs measured

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers."""
        return {
            "threshold": self.threshold.to_dict(),
            "rates": [rate.to_dict() for rate in self.rates],
            "snr_50": self.snr_50,
        }


@dataclass(frozen=True)
class DetectionMetrics:
    """AUC per SNR and efficiency curves, with the rates that could not be measured and why."""

    snrs: list[float]
    noise_windows: int
    signal_windows: int  # per SNR
    auc: list[Estimate]
    efficiency: list[EfficiencyCurve]
    refused: dict[str, str]  # false-positive rate to reason

    def to_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds under `detection`."""
        return {
            "confidence": CONFIDENCE,
            "snrs": self.snrs,
            "noise_windows": self.noise_windows,
            "signal_windows": self.signal_windows,
            "auc": [area.to_dict() for area in self.auc],
            "efficiency": [curve.to_dict() for curve in self.efficiency],
            "refused": self.refused,
        }


def snr_at(efficiency: float, snrs: Sequence[float], rates: Sequence[float]) -> float | None:
    """Return the SNR at which a rising efficiency curve first reaches a value.

    Args:
        efficiency: fraction sought.
        snrs: increasing network SNRs.
        rates: fraction found at each.

    Returns:
        Linear interpolation, or None when the curve does not cross the value.
    """
    for (low, left), (high, right) in pairwise(zip(snrs, rates, strict=True)):
        if left <= efficiency <= right and left < right:
            return float(low + (efficiency - left) / (right - left) * (high - low))
    return None


def efficiency_curve(
    noise_scores: ArrayLike,
    signal_scores: Float[np.ndarray, "snr n"],
    snrs: Sequence[float],
    false_positive_rate: float,
) -> EfficiencyCurve:
    """Return the fraction of signals found against SNR at one false-positive rate.

    Args:
        noise_scores: (n,) scores of noise windows.
        signal_scores: (snr, n) scores of windows with a signal of each SNR.
        snrs: increasing network SNRs, one per row.
        false_positive_rate: per window.

    Raises:
        UnresolvedRateError: the noise windows cannot resolve the rate.
    """
    threshold = threshold_at(noise_scores, false_positive_rate)
    rates = [fraction_above(row, threshold.value) for row in signal_scores]
    return EfficiencyCurve(threshold, rates, snr_at(0.5, snrs, [rate.value for rate in rates]))


def detection_metrics(
    noise_scores: ArrayLike,
    signal_scores: ArrayLike,
    snrs: Sequence[float],
    false_positive_rates: Sequence[float],
) -> DetectionMetrics:
    """Measure a detector on scored windows; rates that cannot be resolved are listed, not guessed.

    Args:
        noise_scores: (n,) scores of noise windows.
        signal_scores: (snr, m) scores of windows with a signal of each SNR.
        snrs: network SNRs, strictly increasing, one per row.
        false_positive_rates: per window.
    """
    noise, signals = np.asarray(noise_scores), np.asarray(signal_scores)
    snrs = [float(snr) for snr in snrs]
    _check(signals, snrs)
    curves, refused = [], {}
    for rate in false_positive_rates:
        try:
            curves.append(efficiency_curve(noise, signals, snrs, rate))
        except UnresolvedRateError as error:
            refused[f"{rate:g}"] = str(error)
    areas = [auc(noise, row) for row in signals]
    return DetectionMetrics(snrs, noise.size, signals.shape[1], areas, curves, refused)


def _check(signals: np.ndarray, snrs: list[float]) -> None:
    if signals.ndim != 2 or signals.shape[0] != len(snrs):
        raise ValueError(
            f"signal_scores has shape {signals.shape} for {len(snrs)} SNRs: expected (snr, windows)"
        )
    if any(b <= a for a, b in pairwise(snrs)):
        raise ValueError(f"evaluation.snrs={snrs}: expected strictly increasing values, sort them")
