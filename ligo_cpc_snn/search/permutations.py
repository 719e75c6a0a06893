"""Time slides of trigger lists: all coincidences of two detectors' triggers, over many slides.

The live time of both detectors, spans end to end, is a ring; a slide turns the second
detector's triggers on it. So every slide has the whole live time, and none of them time that
was not analysed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ligo_cpc_snn.search.slide_plan import Background
from ligo_cpc_snn.search.slides import slide_shifts
from ligo_cpc_snn.search.triggers import loudest_within

# statistics of both triggers -> statistic of the coincidence
Combine = Callable[[Float[np.ndarray, "pair"], Float[np.ndarray, "pair"]], np.ndarray]
PAIR_BYTES = 64  # per pair and per trigger of a slide: indices, times, statistics
SLIDES_AT_A_TIME = 1024
TICKS = 10**6  # a second; times are whole microseconds, so that slides compare exactly


class SingleTriggers(NamedTuple):
    """Triggers of one detector, in any order; templates must be the same in a coincidence."""

    gps: Float[np.ndarray, "trigger"]
    statistic: Float[np.ndarray, "trigger"]
    template: Int[np.ndarray, "trigger"]


class Coincidences(NamedTuple):
    """Pairs of triggers, by their places in the two lists."""

    first: Int[np.ndarray, "pair"]
    second: Int[np.ndarray, "pair"]
    statistic: Float[np.ndarray, "pair"]


def quadrature_sum(
    one: Float[np.ndarray, "pair"], other: Float[np.ndarray, "pair"]
) -> Float[np.ndarray, "pair"]:
    """Return the root of the sum of squares: the network SNR of two detectors' SNRs."""
    return np.hypot(one, other)


def coincidences(
    first: SingleTriggers,
    second: SingleTriggers,
    *,
    window_seconds: float,
    combine: Combine = quadrature_sum,
) -> Coincidences:
    """Return all pairs of one template at most `window_seconds` apart, none clustered."""
    start = min((float(t.gps.min()) for t in (first, second) if t.gps.size), default=0.0)
    one, other = (t._replace(gps=t.gps - start) for t in (first, second))
    return _pairs(one, other, _ticks(other.gps)[None], window_seconds, combine)[0]


def slide_coincidences(
    first: SingleTriggers,
    second: SingleTriggers,
    spans: Float[np.ndarray, "span 2"],
    *,
    slides: int,
    shift_seconds: float,
    window_seconds: float,
    threshold: float,
    cluster_seconds: float,
    budget_bytes: int,
    combine: Combine = quadrature_sum,
) -> Background:
    """Return the clustered coincidences above the threshold of up to `slides` slides.

    The result does not depend on the budget: a slide is never split. Zero-lag candidates are
    not removed.

    Args:
        spans: GPS start and end of the time analysed in both, in order, apart from each
            other; triggers outside are left out.
        slides: evenly over the ring; fewer where there is no room.
        shift_seconds: least shift, above `window_seconds`.
        cluster_seconds: a peak is the loudest within it, by the first detector's time.
        budget_bytes: for the slides that run side by side.

    Raises:
        ValueError: a shift within the window would bring zero lag into its own background.
    """
    if shift_seconds <= window_seconds:
        raise ValueError(
            f"shift_seconds={shift_seconds:g}: expected more than the coincidence window of "
            f"{window_seconds:g} s"
        )
    live = int(_ticks(spans[:, 1] - spans[:, 0]).sum())
    first, second = _on_ring(first, spans), _on_ring(second, spans)
    shifts = np.array(slide_shifts((2, live), TICKS, slides, shift_seconds), np.int64)
    step = _slides_at_a_time(first, second, live / TICKS, window_seconds, budget_bytes)
    lane = live + 2 * int(_ticks(cluster_seconds))
    peaks = [np.zeros(0)]
    for i in range(0, shifts.size, step):
        turned = (_ticks(second.gps) + shifts[i : i + step, None]) % live
        pairs, slide = _pairs(first, second, turned, window_seconds, combine)
        loud = pairs.statistic > threshold
        at = slide[loud] * lane + _ticks(first.gps[pairs.first[loud]])
        peaks.append(_clustered(at, pairs.statistic[loud], int(_ticks(cluster_seconds))))
    return Background(np.concatenate(peaks), live / TICKS * shifts.size, int(shifts.size))


def _ticks(seconds: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.rint(np.asarray(seconds) * TICKS), np.int64)


def _on_ring(triggers: SingleTriggers, spans: np.ndarray) -> SingleTriggers:
    """Return the triggers within the spans, at their time since the ring's start."""
    before = np.concatenate([[0.0], np.cumsum(spans[:, 1] - spans[:, 0])])
    number = np.searchsorted(spans[:, 0], triggers.gps, side="right") - 1
    inside = (number >= 0) & (triggers.gps < spans[np.maximum(number, 0), 1])
    gps = triggers.gps[inside] - spans[number[inside], 0] + before[number[inside]]
    return SingleTriggers(gps, triggers.statistic[inside], triggers.template[inside])


def _pairs(
    first: SingleTriggers,
    second: SingleTriggers,
    turned: Int[np.ndarray, "slide trigger"],
    window_seconds: float,
    combine: Combine,
) -> tuple[Coincidences, Int[np.ndarray, "pair"]]:
    """Return the pairs of every slide, and their slide's number.

    Each template has a lane of the time axis to itself, so one search finds the pairs.
    """
    time, window = _ticks(first.gps), int(_ticks(window_seconds))
    lane = max(time.max(initial=0), turned.max(initial=0)) + 2 * window + 1
    key = first.template * lane + time
    order = np.argsort(key, kind="stable")
    wanted = (second.template * lane + turned).ravel()
    begin = np.searchsorted(key[order], wanted - window, side="left")
    count = np.searchsorted(key[order], wanted + window, side="right") - begin
    which = np.repeat(np.arange(wanted.size), count)
    rank = np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    one, other = order[begin[which] + rank], which % max(second.gps.size, 1)
    statistic = combine(first.statistic[one], second.statistic[other])
    return Coincidences(one, other, statistic), which // max(second.gps.size, 1)


def _clustered(ticks: np.ndarray, statistic: np.ndarray, cluster: int) -> np.ndarray:
    """Return the loudest, each slide in a lane of its own; ticks below 2^53 stay whole."""
    order = np.lexsort((-statistic, ticks))
    at = ticks[order].astype(np.float64)
    return statistic[order][loudest_within(at, statistic[order], float(cluster))]


def _slides_at_a_time(
    first: SingleTriggers, second: SingleTriggers, live: float, window: float, budget: int
) -> int:
    # Pairs expected if all were of one template; the same number for each slide.
    pairs = first.gps.size * second.gps.size * 2 * window / max(live, window)
    step = int(budget // (PAIR_BYTES * (second.gps.size + pairs + 1)))
    return min(max(step, 1), SLIDES_AT_A_TIME)
