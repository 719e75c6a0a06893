"""Coincidences, time slides, ranking, clusters, and the table of phases and times."""

import numpy as np
import pytest

from ligo_cpc_snn.search.matched.coincidence import (
    MatchedEvents,
    Slide,
    cluster,
    coincidences,
    rank,
)
from ligo_cpc_snn.search.matched.filtering import SingleTriggers
from ligo_cpc_snn.search.matched.followup import FollowedUp
from ligo_cpc_snn.search.matched.phase_time import phase_time_table

START, SECONDS, LONGEST = 1238205077.0, 200.0, 0.015


def triggers(seed: int, count: int = 3000) -> SingleTriggers:
    rng = np.random.default_rng(seed)
    template = np.sort(rng.integers(0, 5, count))
    gps = START + rng.uniform(0, SECONDS, count)
    gps = gps[np.lexsort((gps, template))]
    snr = rng.uniform(3.5, 6, count) * np.exp(1j * rng.uniform(0, 6, count))
    return SingleTriggers(template, np.zeros(count, np.int64), gps, snr)


def by_definition(
    one: SingleTriggers, other: SingleTriggers, moved: np.ndarray
) -> set[tuple[int, ...]]:
    same = one.template[:, None] == other.template[None]
    close = np.abs(one.gps[:, None] - moved[None]) <= LONGEST
    loud = np.hypot(*np.meshgrid(abs(one.snr), abs(other.snr), indexing="ij")) >= 6.5
    return set(map(tuple, np.argwhere(same & close & loud).tolist()))


@pytest.mark.parametrize("shift", [None, 7.3, 190.0])
def test_coincidences_are_those_of_the_definition(shift: float | None) -> None:
    one, other = triggers(1), triggers(2)
    slide = None if shift is None else Slide(shift, START, SECONDS)
    a, b = coincidences(one, other, longest=LONGEST, network_threshold=6.5, slide=slide)
    moved = other.gps if slide is None else slide.moved(other.gps)
    assert moved.min() >= START
    assert moved.max() < START + SECONDS
    expected = by_definition(one, other, moved)
    assert len(expected) > 50
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == expected


def test_nothing_coincides_with_nothing() -> None:
    none = SingleTriggers(*(values[:0] for values in vars(triggers(1)).values()))
    a, b = coincidences(triggers(1), none, longest=LONGEST, network_threshold=6.0)
    assert a.size == b.size == 0


def test_the_ranking_is_the_quadrature_sum_of_reweighted_ratios() -> None:
    gps = np.array([10.0, 20.0])
    one = FollowedUp(gps, np.array([5, 6j]), np.array([0.5, 2.0]))
    other = FollowedUp(gps + 0.01, np.array([4, 7.0 + 0j]), np.array([1.0, 1.0]))
    pairs = np.array([1, 0]), np.array([1, 0])
    events = rank(pairs, np.array([3, 4]), one, other, None)
    np.testing.assert_allclose(events.gps, gps + 0.005)
    np.testing.assert_array_equal(events.template, [3, 4])
    lowered = 6 / ((1 + 8) / 2) ** (1 / 6)
    np.testing.assert_allclose(events.statistic, np.sqrt([41, lowered**2 + 49]))
    np.testing.assert_allclose(events.snr, [[5, 4], [6, 7]])


def test_a_cluster_keeps_its_loudest() -> None:
    gps = np.array([0.0, 0.3, 0.6, 0.9, 5.0])
    statistic = np.array([7.0, 8.0, 9.0, 6.0, 6.0])
    events = MatchedEvents(gps, statistic, np.arange(5), np.ones((5, 2)), np.ones((5, 2)))
    kept = cluster(events, 0.35)
    # 8 is within reach of 9 and gone; 7 is within reach of 8 only, which is no event.
    np.testing.assert_array_equal(kept.template, [0, 2, 4])


def test_the_table_prefers_what_signals_do() -> None:
    table = phase_time_table(("H1", "L1"), 1.0, 3.5, LONGEST, samples=100_000)
    density = np.exp(table.log_ratio)
    assert density.mean() == pytest.approx(1, abs=0.1)  # relative to noise's, which is flat

    def at(delay: float, phase: float, share: float) -> float:
        first, second = np.sqrt(1 - share), np.sqrt(share) * np.exp(-1j * phase)
        ratio = table.at(np.array([delay]), np.array([first + 0j]), np.array([second]))
        return float(ratio[0])

    # H1's and L1's arms are nearly opposite: signals come with phases half a turn apart.
    assert at(0.004, np.pi, 0.5) > 0.7
    assert at(0.004, 0.0, 0.5) < at(0.004, np.pi, 0.5) - 1
    # Light takes 10 ms: 14 ms is left to the errors of timing.
    assert at(0.0142, np.pi, 0.5) < -2
