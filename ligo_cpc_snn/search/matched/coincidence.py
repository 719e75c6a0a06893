"""Coincidences of two detectors' triggers, their ranking, and the loudest of a cluster."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ligo_cpc_snn.search import permutations
from ligo_cpc_snn.search.matched.chisq import reweighted
from ligo_cpc_snn.search.matched.filtering import SingleTriggers
from ligo_cpc_snn.search.matched.followup import FollowedUp
from ligo_cpc_snn.search.matched.phase_time import PhaseTimeTable

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

    Args:
        first, second: Triggers of the two detectors, in any order.
        longest: In s.
        network_threshold: Of the root of the sum of squares of the ratios.
        slide: How the second detector is shifted; None: as it was.
    """
    moved = second.gps if slide is None else slide.moved(second.gps)
    pairs = permutations.coincidences(
        permutations.SingleTriggers(first.gps, np.abs(first.snr), first.template),
        permutations.SingleTriggers(moved, np.abs(second.snr), second.template),
        window_seconds=longest,
    )
    loud = pairs.statistic >= network_threshold
    return pairs.first[loud], pairs.second[loud]


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
