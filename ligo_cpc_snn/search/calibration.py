"""The time estimate of triggers, calibrated on injections whose time is known."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class TimeCalibration(NamedTuple):
    """What triggers lie after the truth, and what error is left once that is taken off."""

    offset_seconds: float  # median of found - true: `TrainedDetector.time_offset_seconds`
    median_error_seconds: float
    error_90_seconds: float
    error_95_seconds: float
    within_tolerance: float  # fraction
    tolerance_seconds: float
    found: int


def calibrate_time(
    found_gps: Float[np.ndarray, "n"],
    true_gps: Float[np.ndarray, "n"],
    *,
    tolerance_seconds: float = 0.3,
) -> TimeCalibration:
    """Return the offset of found injections and the quantiles of the error without it.

    Args:
        found_gps: of each found injection's trigger, offset not yet taken off, s.
        true_gps: merger at the geocentre, s.

    Raises:
        ValueError: there is no injection.
    """
    return _calibration(_errors(found_gps, true_gps), None, tolerance_seconds)


def timing_by_snr(
    found_gps: Float[np.ndarray, "n"],
    true_gps: Float[np.ndarray, "n"],
    snr: Float[np.ndarray, "n"],
    *,
    edges: Sequence[float],
    tolerance_seconds: float = 0.3,
) -> dict[tuple[float, float], TimeCalibration]:
    """Return the errors of each SNR range [edge, next edge), with the offset of all of them.

    Ranges without a found injection are left out.

    Args:
        found_gps, true_gps: as `calibrate_time`.
        snr: of the injections.
        edges: of the ranges, rising.
    """
    error = _errors(found_gps, true_gps)
    offset = float(np.median(error))
    ranges = itertools.pairwise(edges)
    members = {(a, b): error[(snr >= a) & (snr < b)] for a, b in ranges}
    return {
        edge: _calibration(part, offset, tolerance_seconds)
        for edge, part in members.items()
        if part.size
    }


def _errors(found_gps: np.ndarray, true_gps: np.ndarray) -> np.ndarray:
    if not found_gps.size:
        raise ValueError("no found injection: expected one or more, lower the threshold")
    return found_gps - true_gps


def _calibration(error: np.ndarray, offset: float | None, tolerance: float) -> TimeCalibration:
    offset = float(np.median(error)) if offset is None else offset
    left = np.abs(error - offset)
    median, most, nearly_all = (float(q) for q in np.quantile(left, [0.5, 0.9, 0.95]))
    return TimeCalibration(
        offset,
        median,
        most,
        nearly_all,
        float(np.mean(left <= tolerance)),
        tolerance,
        int(error.size),
    )
