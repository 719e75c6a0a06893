"""Slides of trigger lists: all coincidences, in any chunks, as by hand."""

import numpy as np
import pytest
from scipy.stats import kstest

from ligo_cpc_snn.search.permutations import (
    SingleTriggers,
    coincidences,
    slide_coincidences,
)
from ligo_cpc_snn.search.slides import slide_shifts

SPANS = np.array([[1000.0, 1040.0], [1100.0, 1125.0], [1300.0, 1335.0]])  # 100 s in all
WINDOW = 0.1
CHOICES = {
    "slides": 30,
    "shift_seconds": 2.0,
    "window_seconds": WINDOW,
    "threshold": 3.0,
    "cluster_seconds": 0.5,
}


def triggers(seed: int, count: int = 700, templates: int = 3) -> SingleTriggers:
    """Triggers in and out of the spans, in no order, at whole milliseconds."""
    rng = np.random.default_rng(seed)
    gps = np.round(rng.uniform(990, 1345, count), 3)
    return SingleTriggers(gps, rng.exponential(2.0, count), rng.integers(0, templates, count))


def ring(found: SingleTriggers) -> list[tuple[int, float, int]]:
    """Milliseconds since the ring's start, statistic, template."""
    out, before = [], 0.0
    for a, b in SPANS:
        for t, s, k in zip(*found, strict=True):
            if a <= t < b:
                out.append((round(1000 * (t - a + before)), s, int(k)))
        before += b - a
    return out


def by_hand(first: SingleTriggers, second: SingleTriggers) -> list[float]:
    peaks, ones, others = [], ring(first), ring(second)
    for shift in slide_shifts((2, 100_000_000), 10**6, 30, 2.0):
        pairs = [
            (t, np.hypot(s, q))
            for t, s, k in ones
            for u, q, m in others
            if k == m and abs(t - (u + shift / 1000) % 100_000) <= 100 and np.hypot(s, q) > 3.0
        ]
        for t, q in pairs:
            near = [p for u, p in pairs if abs(u - t) <= 500]
            if q == max(near):
                peaks.append(q)
    return peaks


def test_slides_find_what_is_found_by_hand_for_any_budget():
    first, second = triggers(0), triggers(1)
    found = slide_coincidences(first, second, SPANS, budget_bytes=10**8, **CHOICES)
    assert found.slides == 30
    assert found.seconds == pytest.approx(3000.0)
    assert found.statistic.size > 200
    np.testing.assert_allclose(np.sort(found.statistic), np.sort(by_hand(first, second)))
    for budget in (1, 70_000):
        chunked = slide_coincidences(first, second, SPANS, budget_bytes=budget, **CHOICES)
        np.testing.assert_array_equal(chunked.statistic, found.statistic)
        assert chunked[1:] == found[1:]


def test_coincidences_are_pairs_of_one_template_within_the_window():
    first, second = triggers(2), triggers(3)
    found = coincidences(first, second, window_seconds=WINDOW)
    apart = np.abs(first.gps[:, None] - second.gps)
    same = first.template[:, None] == second.template
    near = np.argwhere((apart <= WINDOW + 1e-9) & same)
    pairs = np.stack([found.first, found.second], axis=1)
    assert len(pairs) > 90
    np.testing.assert_array_equal(pairs[np.lexsort(pairs.T[::-1])], near)
    np.testing.assert_allclose(
        found.statistic, np.hypot(first.statistic[found.first], second.statistic[found.second])
    )
    lesser = coincidences(first, second, window_seconds=WINDOW, combine=np.minimum)
    assert np.all(lesser.statistic < found.statistic)


def test_zero_lag_is_in_no_slide():
    """Triggers that coincide at zero lag alone, in times no multiple of a shift apart."""
    gps = np.array([1001.0, 1012.34, 1101.7, 1303.13])
    loud = SingleTriggers(gps, np.full(4, 50.0), np.zeros(4, int))
    assert coincidences(loud, loud, window_seconds=WINDOW).statistic.size == 4
    choices = {**CHOICES, "slides": 6, "window_seconds": 0.01}
    found = slide_coincidences(loud, loud, SPANS, budget_bytes=10**6, **choices)
    assert found.statistic.size == 0
    with pytest.raises(ValueError, match=r"shift_seconds=0\.1: expected more than"):
        slide_coincidences(
            loud, loud, SPANS, budget_bytes=10**6, **{**CHOICES, "shift_seconds": 0.1}
        )


def test_nothing_gives_nothing():
    none, some = triggers(0, 0), triggers(1)
    for pair in ((none, some), (some, none), (none, none)):
        found = slide_coincidences(*pair, SPANS, budget_bytes=10**6, **CHOICES)
        assert found.statistic.size == 0
        assert found.seconds == pytest.approx(3000.0)
        assert coincidences(*pair, window_seconds=WINDOW).first.size == 0
    short = slide_coincidences(
        some, some, SPANS, budget_bytes=10**6, **{**CHOICES, "shift_seconds": 80.0}
    )
    assert (short.slides, short.seconds) == (0, 0.0)


def test_slid_coincidences_come_as_often_as_chance_has_it():
    """Rate of two Poisson processes: r1 r2 2w per second."""
    rng = np.random.default_rng(4)
    spans = np.array([[0.0, 5000.0]])
    lists = [
        SingleTriggers(np.sort(rng.uniform(0, 5000, 2500)), rng.random(2500), np.zeros(2500, int))
        for _ in range(2)
    ]
    found = slide_coincidences(
        *lists,
        spans,
        slides=40,
        shift_seconds=5.0,
        window_seconds=0.02,
        threshold=0.0,
        cluster_seconds=1e-6,
        budget_bytes=10**7,
        combine=lambda one, other: one,
    )
    expected = 0.5 * 0.5 * 0.04 * found.seconds
    assert found.statistic.size == pytest.approx(expected, rel=0.1)
    assert kstest(found.statistic, "uniform").pvalue > 1e-3
