"""Triggers: the moments at which the statistic says that something was there."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Triggers(NamedTuple):
    """Clustered peaks of the statistic, in the order of time.

    `gps` is the estimated time of the merger at the geocentre, s; `contributions` what each
    detector's strain adds to the statistic.
    """

    gps: Float[np.ndarray, "trigger"]
    statistic: Float[np.ndarray, "trigger"]
    contributions: Float[np.ndarray, "trigger detector"]


class Peaks(NamedTuple):
    """Clustered peaks, in the order of time; `frame` is where they stand in the statistic."""

    gps: Float[np.ndarray, "trigger"]
    statistic: Float[np.ndarray, "trigger"]
    frame: Int[np.ndarray, "trigger"]


def find_triggers(
    gps: Float[np.ndarray, "frame"],
    value: Float[np.ndarray, "frame"],
    *,
    threshold: float,
    cluster_seconds: float,
    time_offset_seconds: float = 0.0,
) -> Peaks:
    """Return the frames above the threshold that are the loudest of their surroundings.

    Whether a frame is kept depends on the frames within `cluster_seconds` alone, so a
    statistic may be handed over in pieces that overlap by that much.

    Args:
        gps: rising times of the frames, s; gaps are allowed.
        value: the statistic; -inf where a frame does not count.
        threshold: a trigger's statistic lies above it.
        cluster_seconds: a trigger is the loudest within it, before and after.
        time_offset_seconds: taken off a trigger's time.

    Returns:
        Times between the frames, by a parabola through a peak and its two neighbours; the
        statistic is the peak frame's own.
    """
    above = np.flatnonzero(value > threshold)
    kept = above[loudest_within(gps[above], value[above], cluster_seconds)]
    time = gps[kept] + _parabola_offset(gps, value, kept) - time_offset_seconds
    return Peaks(time, value[kept], kept)


def loudest_within(
    gps: Float[np.ndarray, "n"], value: Float[np.ndarray, "n"], seconds: float
) -> Bool[np.ndarray, "n"]:
    """Say which values none within `seconds` before or after exceeds; the first of equals.

    Reference: as `pycbc.events.coinc.cluster_over_time`.

    Args:
        gps: times in rising order, s.
        value: finite.
    """
    # The windows' ends alternate, so `reduceat` takes the maximum of each window at [::2].
    here = np.arange(gps.size)
    first = np.searchsorted(gps, gps - seconds, side="left")
    last = np.searchsorted(gps, gps + seconds, side="right")
    padded = np.append(value, -np.inf)

    def loudest(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        most = np.maximum.reduceat(padded, np.stack([begin, end], axis=1).ravel())[::2]
        return np.where(begin < end, most, -np.inf)

    if not gps.size:
        return np.zeros(0, bool)
    return (loudest(first, here) < value) & (loudest(here, last) <= value)


def _parabola_offset(gps: np.ndarray, value: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Return how far the vertex lies from the peak's frame, s; 0 beside gaps and on plateaus."""
    offset = np.zeros(peak.size)
    inner = (peak > 0) & (peak < value.size - 1)
    at = peak[inner]
    before, middle, after = (value[at + i].astype(np.float64) for i in (-1, 0, 1))
    step, other = gps[at + 1] - gps[at], gps[at] - gps[at - 1]
    curvature = before - 2 * middle + after
    sound = np.isfinite(curvature) & (curvature < 0) & (np.abs(step - other) < 0.5 * step)
    bent = np.where(sound, curvature, 1.0)
    frames = np.where(sound, 0.5 * (before - after) / bent, 0.0)
    offset[inner] = np.clip(np.where(np.isfinite(frames), frames, 0.0), -0.5, 0.5) * step
    return offset
