"""Triggers: clustered as PyCBC does, timed between frames, with each detector's part."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_detector import small_detector

from ligo_cpc_snn.search.calibration import timing_by_snr
from ligo_cpc_snn.search.contributions import TRIGGERS, contributions
from ligo_cpc_snn.search.triggers import find_triggers, loudest_within

GOLDEN = Path(__file__).parent / "golden" / "cluster_over_time.json"


def brute_force(gps, value, seconds):
    """Greedy as one would by hand: each value against all within reach."""
    kept = []
    for i in range(len(gps)):
        near = [j for j in range(len(gps)) if abs(gps[j] - gps[i]) <= seconds and j != i]
        kept.append(all(value[j] < value[i] or (value[j] == value[i] and j > i) for j in near))
    return np.array(kept, bool)


@settings(max_examples=100, deadline=None)
@given(
    times=st.lists(st.integers(0, 60), max_size=30).map(sorted),
    levels=st.lists(st.integers(0, 5), min_size=30, max_size=30),
    reach=st.integers(0, 9),
)
def test_a_trigger_is_the_loudest_within_reach(times, levels, reach):
    gps = np.array(times, np.float64) / 4
    value = np.array(levels[: gps.size], np.float64)
    found = loudest_within(gps, value, reach / 4)
    np.testing.assert_array_equal(found, brute_force(gps, value, reach / 4))


def test_clusters_are_those_of_pycbc():
    golden = json.loads(GOLDEN.read_text())
    for case in golden["cases"]:
        gps, value = np.array(case["time"]), np.array(case["stat"])
        found = np.flatnonzero(loudest_within(gps, value, golden["window"]))
        assert found.tolist() == case["kept"]
        assert 0 < found.size < gps.size


def test_triggers_lie_above_the_threshold_and_pieces_give_what_the_whole_gives():
    rng = np.random.default_rng(0)
    value = rng.standard_normal(4000).astype(np.float32)
    gps = 1000.0 + np.arange(4000) / 64
    choices = {"threshold": 1.5, "cluster_seconds": 0.3, "time_offset_seconds": 0.25}
    whole = find_triggers(gps, value, **choices)
    assert np.all(whole.statistic > 1.5)
    assert np.diff(whole.gps).min() > 0.3 - 1 / 64
    np.testing.assert_array_equal(value[whole.frame], whole.statistic)
    np.testing.assert_allclose(whole.gps, gps[whole.frame] - 0.25, atol=0.5 / 64)
    halves = [find_triggers(gps[part], value[part], **choices) for part in
              (slice(0, 2050), slice(1950, 4000))]  # fmt: skip
    joined = np.union1d(
        *(half.frame[keep] + first for half, keep, first in (
            (halves[0], halves[0].frame < 2000, 0), (halves[1], halves[1].frame >= 50, 1950)))
    )  # fmt: skip
    np.testing.assert_array_equal(joined, whole.frame)
    assert find_triggers(gps, value, threshold=99.0, cluster_seconds=0.3).gps.size == 0


@pytest.mark.parametrize("at", [10.0, 10.004, 10.007])
def test_a_peak_between_frames_is_timed_by_a_parabola(at):
    gps = np.arange(2000) / 128
    value = 5 - 300 * (gps - at) ** 2
    found = find_triggers(gps, value, threshold=0.0, cluster_seconds=0.3)
    np.testing.assert_allclose(found.gps, [at], atol=1e-9)


def test_no_parabola_across_gaps_masked_frames_and_plateaus():
    gps = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 20.0, 21.0, 22.0])
    value = np.array([1.0, 2.0, 3.0, -np.inf, 3.0, 2.0, 1.0, 1.0, 1.0])
    found = find_triggers(gps, value, threshold=0.0, cluster_seconds=2.5)
    np.testing.assert_array_equal(found.gps, [2.0, 11.0, 20.0])


@pytest.fixture(scope="module")
def trained():
    return small_detector()


def test_contributions_are_the_statistic_with_and_without_a_detector(trained):
    rng = np.random.default_rng(1)
    frames, memory = 90, 20
    features = (rng.random((2, frames, 16)) < 0.3).astype(np.uint8)
    at = np.sort(rng.choice(frames, TRIGGERS + 3, replace=False))
    at[0] = 4  # less than the memory after the start
    found = contributions(trained, features, at, memory_seconds=memory * trained.frame_seconds)
    mean = features.mean(axis=1).astype(np.float32)
    padded = np.concatenate([np.repeat(mean[:, None], memory, 1), features], 1)
    network = trained.network

    def logit(piece):
        return float(network.join(jnp.asarray(piece[None]), network.snn.initial_state(1))[0][0, -1])

    for frame, row in zip(at[::6], found[::6], strict=True):
        piece = padded[:, frame + 1 : frame + 1 + memory].astype(np.float32)
        for d in range(2):
            without = piece.copy()
            without[d] = mean[d]
            np.testing.assert_allclose(row[d], logit(piece) - logit(without), atol=1e-5)
    assert np.abs(found).max() > 1e-3
    assert contributions(trained, features, at[:0]).shape == (0, 2)


def test_a_detector_that_saw_its_mean_contributes_nothing(trained):
    features = np.random.default_rng(2).random((2, 60, 16)).astype(np.float32)
    features[1] = 0.3
    found = contributions(trained, features, np.array([30, 50]))
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-6)
    assert np.abs(found[:, 0]).min() > 0


def test_errors_of_times_are_those_of_each_range_of_snr():
    rng = np.random.default_rng(3)
    snr = rng.uniform(5, 15, 4001)
    error = 0.12 + rng.standard_normal(4001) * 0.4 / snr
    quiet, loud = timing_by_snr(error, snr, edges=[0, 5, 10, 15])  # nothing below 5
    assert (quiet.snr_from, loud.snr_to) == (5.0, 15.0)
    assert quiet.found + loud.found == 4001
    away = np.abs(error[snr >= 10])
    expected = [*np.quantile(away, [0.5, 0.95]), np.mean(away <= 0.3)]
    np.testing.assert_allclose(loud[3:6], expected, rtol=1e-12)
    assert quiet.error_95_seconds > 1.1 * loud.error_95_seconds
    assert timing_by_snr(error[:0], snr[:0], edges=[0, 5]) == []
