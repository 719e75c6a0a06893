"""The detector over continuous strain: any chunks, time slides, an event and its background."""

import itertools

import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.search.event import (
    WARM_UP_SECONDS,
    Background,
    analyse_event,
    measure_background,
)
from ligo_cpc_snn.search.slides import slide, slide_shifts
from ligo_cpc_snn.search.stream import Statistic, Stream, build_advance, statistic_of

RATE, FRAME, SAMPLES = 512, 16, 640


@pytest.fixture(scope="module")
def network():
    model = ModelConfig()
    model.encoder.features = model.context.features = 8
    model.context.dilations = [1]
    model.snn.widths = [8]
    detector = Detector(model, detectors=2, sample_rate_hz=RATE, rngs=nnx.Rngs(0))
    graph, params = nnx.split(detector)
    advance = build_advance(lambda p: nnx.merge(graph, p))
    strain = 2 * np.random.default_rng(1).standard_normal((1, 2, SAMPLES)).astype(np.float32)
    whole = np.asarray(advance(params, strain, detector.initial_state(1))[0])
    return detector, advance, params, strain, whole


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, SAMPLES - 1), max_size=3))
def test_strain_fed_in_any_chunks_gives_what_the_whole_gives(network, cuts):
    detector, advance, params, strain, whole = network
    # Chunks of few different lengths, so that few programs are compiled.
    edges = sorted({0, SAMPLES, *(cut // 40 * 40 for cut in cuts)})
    stream = Stream(advance, params, detector.initial_state(1), FRAME)
    parts = [stream.feed(strain[..., a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_a_chunk_shorter_than_a_frame_waits(network):
    detector, advance, params, strain, whole = network
    stream = Stream(advance, params, detector.initial_state(1), FRAME)
    assert stream.feed(strain[..., : FRAME - 1]).shape == (1, 0)
    np.testing.assert_allclose(stream.feed(strain[..., FRAME - 1 : FRAME]), whole[:, :1], atol=1e-5)


def test_the_statistic_has_the_time_of_its_frames_end(network):
    detector, advance, params, strain, whole = network
    ragged = strain[..., : SAMPLES - 5]  # neither whole chunks nor whole frames
    found = statistic_of(
        advance,
        params,
        detector.initial_state(1),
        ragged,
        frame_samples=FRAME,
        chunk_samples=12 * FRAME,
        gps_start=1000.0,
        sample_rate_hz=RATE,
    )
    assert found.value.shape == (1, (SAMPLES - 5) // FRAME)
    np.testing.assert_allclose(found.value, whole[:, : found.value.shape[1]], atol=1e-5)
    np.testing.assert_allclose(found.gps[:2], [1000 + FRAME / RATE, 1000 + 2 * FRAME / RATE])


def test_slides_shift_one_detector_and_never_nearly_nothing():
    strain = np.arange(20.0).reshape(2, 10)
    shifted = slide(strain, 3)
    np.testing.assert_array_equal(shifted[0], strain[0])
    np.testing.assert_array_equal(shifted[1], np.roll(strain[1], 3))
    shifts = slide_shifts((2, 60 * RATE), RATE, slides=20, minimum_seconds=1.0)
    assert len(shifts) == 20
    assert all(RATE <= shift <= 59 * RATE for shift in shifts)
    assert np.diff(shifts).min() >= RATE
    assert slide_shifts((2, RATE), RATE, slides=20, minimum_seconds=1.0) == []
    three = slide_shifts((3, 60 * RATE), RATE, slides=19, minimum_seconds=1.0)
    assert 30 * RATE not in three  # the third detector would be back at zero lag
    assert len(three) == 18


def coincidence(strain: np.ndarray, gps_start: float) -> Statistic:
    """A detector that is sure of itself: the product of both detectors' samples."""
    value = strain.prod(axis=1)
    return Statistic(gps_start + (np.arange(value.shape[-1]) + 1) / RATE, value)


def test_zero_lag_and_slides_are_kept_apart():
    strain = np.ones((2, 30 * RATE), np.float32)
    strain[:, 10 * RATE] = 9.0  # coincident: loud at zero lag alone
    found = measure_background(coincidence, [(strain, 1000.0)], RATE, slides=4)
    assert found.zero_lag.size == 29  # without the second of warm-up
    assert np.count_nonzero(found.zero_lag == 81) == 1
    assert found.slides.size == 4 * 29
    assert found.slides.max() == 9


def ramp_with_peak(peak: float, at: float) -> Statistic:
    gps = 1000.0 + (np.arange(20 * 64) + 1) / 64
    value = np.full(gps.size, -1.0)
    value[np.argmin(np.abs(gps - at))] = peak
    value[3] = 50.0  # in the warm-up: not looked at
    return Statistic(gps, value)


def test_an_event_is_judged_by_held_out_noise_only():
    background = Background(np.array([1.0, 4.0, 2.0]), np.array([1.0, 6.0, 3.0, 5.5]))
    result = analyse_event(ramp_with_peak(5.0, 1010.05), background, 1010.0)
    assert (result.peak, result.threshold) == (5.0, 4.0)
    assert (result.crossings_zero_lag, result.slides_above) == (0, 2)
    summary = result.summary(1010.0, 0.1)
    assert summary["loudest_within_tolerance"]
    assert summary["above_threshold"]
    assert summary["offset_seconds"] == pytest.approx(0.05, abs=0.01)
    assert summary["false_alarms_per_year"] == pytest.approx(2 / 7 * 31557600)


def test_no_false_alarm_gives_an_upper_limit_not_zero():
    background = Background(np.zeros(10), np.zeros(90))
    summary = analyse_event(ramp_with_peak(5.0, 1010.0), background, 1010.0).summary(1010.0, 0.1)
    assert summary["false_alarms_per_year"] is None
    assert summary["false_alarms_per_year_upper_limit_90"] == pytest.approx(2.303 / 100 * 31557600)


def test_an_event_outside_the_analysed_strain_is_an_error():
    with pytest.raises(ValueError, match="not in the analysed strain"):
        analyse_event(
            ramp_with_peak(5.0, 1010.0),
            Background(np.ones(1), np.ones(1)),
            1000.0 + WARM_UP_SECONDS / 2,
        )
    with pytest.raises(ValueError, match="no held-out noise"):
        analyse_event(ramp_with_peak(5.0, 1010.0), Background(np.zeros(0), np.zeros(0)), 1010.0)
