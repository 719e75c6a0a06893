"""Coincidences of two detectors' triggers, their ranking, and the loudest of a cluster."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ligo_cpc_snn.search.matched.chisq import reweighted
from ligo_cpc_snn.search.matched.filtering import SingleTriggers
from ligo_cpc_snn.search.matched.followup import FollowedUp
from ligo_cpc_snn.search.matched.phase_time import PhaseTimeTable

TICKS = 10**6  # a second; times are whole microseconds, so that slides compare exactly
Pairs = tuple[Int[np.ndarray, "pair"], Int[np.ndarray, "pair"]]


class Slide(NamedTuple):
    """A shift of the second detector on the circle of a stretch, all in s."""

    shift: float
    start: float
    duration: float

    def moved(self, gps: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Return times after the shift."""
        return self.start + (gps - self.start + self.shift) % self.duration


class MatchedEvents(NamedTuple):
    """Events in the order of time.

    `gps`: mean of the detectors' times, s; `statistic`: the ranking; `template`: its number;
    `snr` and `reduced`: modulus of the ratio, and reduced chi-squared, of each detector.
    """

    gps: Float[np.ndarray, "event"]
    statistic: Float[np.ndarray, "event"]
    template: Int[np.ndarray, "event"]
    snr: Float[np.ndarray, "event detector"]
    reduced: Float[np.ndarray, "event detector"]


def coincidences(
    first: SingleTriggers,
    second: SingleTriggers,
    *,
    longest: float,
    network_threshold: float,
    slide: Slide | None = None,
) -> Pairs:
    """Return pairs of triggers of one template whose times differ by `longest` at most.

    Each template has a lane of the time axis to itself, so one search finds the pairs.

    Args:
        first, second: Triggers of the two detectors, in any order.
        longest: In s.
        network_threshold: Of the root of the sum of squares of the ratios.
        slide: How the second detector is shifted; None: as it was.
    """
    moved = second.gps if slide is None else slide.moved(second.gps)
    start = min((float(gps.min()) for gps in (first.gps, moved) if gps.size), default=0.0)
    time, other_time = _ticks(first.gps - start), _ticks(moved - start)
    window = round(longest * TICKS)
    lane = max(time.max(initial=0), other_time.max(initial=0)) + 2 * window + 1
    key, wanted = first.template * lane + time, second.template * lane + other_time
    order = np.argsort(key, kind="stable")
    begin = np.searchsorted(key[order], wanted - window, side="left")
    count = np.searchsorted(key[order], wanted + window, side="right") - begin
    other = np.repeat(np.arange(wanted.size), count)
    place = np.arange(other.size) - np.repeat(np.cumsum(count) - count, count)
    one = order[begin[other] + place]
    loud = np.hypot(np.abs(first.snr[one]), np.abs(second.snr[other])) >= network_threshold
    return one[loud], other[loud]


def _ticks(seconds: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    return np.rint(seconds * TICKS).astype(np.int64)


def rank(
    pairs: Pairs,
    template: Int[np.ndarray, "trigger"],
    first: FollowedUp,
    second: FollowedUp,
    table: PhaseTimeTable | None,
    slide: Slide | None = None,
) -> MatchedEvents:
    """Return an event for each pair; the statistic is in units of the network's ratio.

    Args:
        pairs: Of triggers.
        template: Of the first detector's triggers.
        first, second: The detectors' triggers after the second look.
        table: None: the ranking is the root of the sum of squares of re-weighted ratios;
            otherwise twice the table's logarithm is added to the squares.
        slide: Of the pairs; the events have the first detector's times.
    """
    sides = [
        FollowedUp(side.gps[rows], side.snr[rows], side.reduced[rows])
        for side, rows in zip((first, second), pairs, strict=True)
    ]
    snr = np.stack([np.abs(side.snr) for side in sides], axis=1)
    reduced = np.stack([side.reduced for side in sides], axis=1)
    squared = np.sum(reweighted(snr, reduced) ** 2, axis=1)
    other = sides[1].gps if slide is None else slide.moved(sides[1].gps)
    delay = sides[0].gps - other
    if table is not None:
        squared = squared + 2 * table.at(delay, sides[0].snr, sides[1].snr)
    gps = sides[0].gps - delay / 2
    statistic = np.sqrt(np.maximum(squared, 0.0))
    order = np.argsort(gps, kind="stable")
    columns = (gps, statistic, template[pairs[0]], snr, reduced)
    return MatchedEvents(*(column[order] for column in columns))


def cluster(events: MatchedEvents, seconds: float) -> MatchedEvents:
    """Keep events that are the loudest within `seconds` before and after, loudest first."""
    free = np.ones(events.gps.size, bool)
    kept = np.zeros(events.gps.size, bool)
    low = np.searchsorted(events.gps, events.gps - seconds)
    high = np.searchsorted(events.gps, events.gps + seconds, side="right")
    for i in np.argsort(-events.statistic, kind="stable"):
        if free[i]:
            kept[i] = True
            free[low[i] : high[i]] = False
    return MatchedEvents(*(column[kept] for column in events))
