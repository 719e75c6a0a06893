"""Time slides: what is slid, what is counted, and what the network makes of it."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from search_detector import RATE, small_detector

from ligo_cpc_snn.chunked import Chunked
from ligo_cpc_snn.config.model_schema import Neuron
from ligo_cpc_snn.memory import OutOfMemoryError
from ligo_cpc_snn.search import feature_slides
from ligo_cpc_snn.search.consistency import slide_consistency
from ligo_cpc_snn.search.feature_slides import slide_background
from ligo_cpc_snn.search.slide_plan import SlideSegment, plan_slides
from ligo_cpc_snn.search.strain_slides import slide_strain_background
from ligo_cpc_snn.search.triggers import find_triggers

FRAME = 1 / 32  # s, of the small detector
WARM_UP = 16  # frames of it
CHOICES = {"slides": 5, "shift_seconds": 2.0, "threshold": 0.0, "cluster_seconds": 0.3}
PLENTY = 10**9


@pytest.fixture(scope="module")
def trained():
    return small_detector()


@pytest.fixture(scope="module", autouse=True)
def short_programs():
    """Rings of 40 s in chunks of 64 frames: several chunks, and rings, in little time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_slides, "CHUNK_FRAMES", 64)
        patch.setattr(feature_slides, "RING_SECONDS", 40.0)
        yield


def spikes(seed: int, frames: int, rate: float = 0.3) -> SlideSegment:
    rng = np.random.default_rng(seed)
    good = np.ones((2, frames), bool)
    good[:, :WARM_UP] = False
    return SlideSegment((rng.random((2, frames, 16)) < rate).astype(np.uint8), good)


def joined(trained, features):
    """The statistic of features side by side, from silence."""
    graph, params = nnx.split(trained.network)
    return np.asarray(_join(graph, params, jnp.asarray(features, jnp.float32)))


@partial(jax.jit, static_argnums=0)
def _join(graph, params, features):
    network = nnx.merge(graph, params)
    return network.join(features[None], network.snn.initial_state(1))[0][0]


@pytest.mark.parametrize("neuron", [Neuron.LIF, Neuron.RCuBaLIF, Neuron.none])
def test_the_sum_of_first_currents_is_what_join_sees(neuron):
    network = small_detector(snn__neuron=neuron).network
    features = jnp.asarray(np.random.default_rng(0).random((3, 2, 20, 16)), jnp.float32)
    expected, state = network.join(features, network.snn.initial_state(3))
    current = sum(network.snn.first_current(features[:, d], d) for d in range(2))
    found, after = network.snn.from_current(
        jnp.swapaxes(current, 0, 1), network.snn.initial_state(3)
    )
    np.testing.assert_allclose(found.T, expected, atol=1e-5)
    assert np.ptp(expected) > 0.01
    for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.fixture
def made(monkeypatch) -> list[Chunked]:
    """What runs slides in chunks, as it is made."""
    kept: list[Chunked] = []

    def chunked(*arguments, **options):
        kept.append(Chunked(*arguments, options["largest"], None))
        return kept[-1]

    monkeypatch.setattr(feature_slides, "chunked", chunked)
    feature_slides._advancing.cache_clear()
    return kept


def by_hand(trained, segments, turns):
    """Peaks and seconds of every slide, each joined by itself."""
    peaks, frames = [], 0
    for turn in turns:
        for shift in turn.shifts:
            rows, good = [], np.ones(turn.frames, bool)
            for d, ring in enumerate(turn.rings):
                cut = slice(ring.first, ring.first + turn.frames)
                segment = segments[ring.segment]
                rows.append(np.roll(segment.features[d, cut], d * shift, axis=0))
                own = segment.good[d, cut].copy()
                own[:WARM_UP] = False
                good &= np.roll(own, d * shift)
            value = np.where(good, joined(trained, np.stack(rows)), -np.inf)
            found = find_triggers(
                np.arange(turn.frames) * FRAME, value, threshold=0.0, cluster_seconds=0.3
            )
            peaks.append(found.statistic)
            frames += np.count_nonzero(good)
    return np.concatenate(peaks), frames * FRAME


def test_slides_are_the_joined_turned_features_for_any_budget(trained, made):
    """Rings of unequal length: one segment is cut, one has room for few slides of its own."""
    segments = [spikes(0, 1700), spikes(1, 330)]
    segments[0].good[1, 700:760] = False
    choices = {**CHOICES, "threshold": float(np.median(joined(trained, segments[0].features)))}
    found = slide_background(trained, segments, budget_bytes=PLENTY, **choices)
    turns = plan_slides([1700, 330], detectors=2, slides=5, least_frames=64, ring_frames=1280)
    # The short ring has room for 4 slides of its own, and meets another for the fifth.
    assert [len(turn.shifts) for turn in turns] == [5, 5, 4, 1]
    expected, seconds = by_hand(trained, segments, turns)
    expected = expected[expected > choices["threshold"]]
    assert found.slides == 5
    assert found.seconds == pytest.approx(seconds)
    assert found.statistic.size > 300
    np.testing.assert_allclose(found.statistic, expected, atol=1e-5)
    room = feature_slides.slides_bytes(trained, 850, 2) + 100
    budget = feature_slides.ring_bytes(trained, 16, 850) + room
    little = slide_background(trained, segments, budget_bytes=budget, **choices)
    assert [run.size for run in made] == [5, 2]
    np.testing.assert_allclose(little.statistic, found.statistic, atol=1e-5)
    assert little[1:] == found[1:]
    with pytest.raises(OutOfMemoryError, match=r"the budget is .*slides=0"):
        slide_background(trained, segments, budget_bytes=budget - room, **choices)


def test_out_of_memory_goes_on_with_half_as_many_slides(trained, monkeypatch, caplog):
    segments = [spikes(2, 900)]
    expected = slide_background(trained, segments, budget_bytes=PLENTY, **CHOICES)
    original, refused = Chunked._run, []

    def refuse(self, windows, fixed, first):
        if self.size > 2:
            refused.append(self.size)
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: allocating 9 bytes")
        return original(self, windows, fixed, first)

    monkeypatch.setattr(Chunked, "_run", refuse)
    feature_slides._advancing.cache_clear()
    found = slide_background(trained, segments, budget_bytes=PLENTY, **CHOICES)
    assert refused == [5]
    assert "going on with half" in caplog.text
    np.testing.assert_allclose(found.statistic, expected.statistic, atol=1e-5)
    assert found[1:] == expected[1:]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 400), max_size=4),
    detectors=st.integers(2, 3),
    slides=st.integers(0, 12),
    least=st.integers(1, 40),
    ring=st.integers(50, 200),
)
def test_no_slide_comes_near_zero_lag_and_none_is_taken_twice(
    lengths, detectors, slides, least, ring
):
    turns = plan_slides(
        lengths, detectors=detectors, slides=slides, least_frames=least, ring_frames=ring
    )
    taken, each = set(), {}
    start = np.concatenate([[0], np.cumsum([n + 10**6 for n in lengths])])
    for turn in turns:
        for shift in turn.shifts:
            assert (turn.rings, shift) not in taken
            taken.add((turn.rings, shift))
            t = np.arange(turn.frames)
            when = [
                start[r.segment] + r.first + (t - d * shift) % turn.frames
                for d, r in enumerate(turn.rings)
            ]
            for d in range(detectors):
                for e in range(d):
                    assert np.abs(when[d] - when[e]).min() >= least
        lead = turn.rings[0]
        each[lead] = each.get(lead, 0) + len(turn.shifts)
    assert all(count <= slides for count in each.values())


def product(strain: np.ndarray) -> np.ndarray:
    """A detector that is sure of itself: the product of both detectors' frames."""
    return strain.prod(axis=1)


def slid_strain(segments, run=product, **changes):
    choices = {**CHOICES, "threshold": 1.5, "warm_up_seconds": 0.5, "streams": 3}
    return slide_strain_background(run, segments, frame_seconds=FRAME, **{**choices, **changes})


def test_zero_lag_bad_frames_and_warm_up_are_in_no_slide():
    frames = 640
    strain, good = np.ones((2, frames, 1), np.float32), np.ones((2, frames), bool)
    strain[:, 300] = 9.0  # loud together at zero lag alone
    strain[1, 430:440], good[1, 430:440] = 1e6, False
    strain[:, 3] = 1e6  # in the warm-up
    found = slid_strain([SlideSegment(strain, good)])
    assert found.statistic.max() == 9.0
    assert found.statistic.size == 2 * found.slides == 10
    # Each detector has its own 16 frames of warm-up, the second 10 bad ones; in one slide
    # these meet the other's warm-up.
    assert found.seconds == pytest.approx((5 * (frames - 2 * 16 - 10) + 10) * FRAME)
    assert slid_strain([SlideSegment(strain[:, :100], good[:, :100])]).slides == 0
    assert slid_strain([]).seconds == 0
    assert slid_strain([SlideSegment(strain[:1], good[:1])]).slides == 0  # of one detector


def test_strain_is_slid_as_features_are(trained):
    """The whole network runs on slid strain; here it is the joint part alone."""
    segments = [spikes(3, 500), spikes(4, 300)]
    flat = [
        SlideSegment(s.features.reshape(2, -1, 16).astype(np.float32), s.good) for s in segments
    ]
    features = jax.jit(jax.vmap(lambda x: trained.network.join(
        x[None], trained.network.snn.initial_state(1))[0][0]))  # fmt: skip

    def run(strain: np.ndarray) -> np.ndarray:
        return np.asarray(features(strain.reshape(*strain.shape[:2], -1, 16)))

    choices = {"threshold": float(np.median(joined(trained, segments[0].features)))}
    one = slid_strain(flat, run, **choices)
    other = slide_background(trained, segments, budget_bytes=PLENTY, **{**CHOICES, **choices})
    np.testing.assert_allclose(one.statistic, other.statistic, atol=1e-5)
    assert one[1:] == other[1:]


@pytest.fixture(scope="module")
def noise(trained):
    """Features of two detectors that hear the same noise, and of two that do not."""
    network = trained.network
    rng = np.random.default_rng(5)
    own = rng.standard_normal((2, 2, 900 * RATE)).astype(np.float32)
    strain = np.stack([own[0, [0, 0]], own[1]])
    keys = jax.random.split(jax.random.key(0), 4)
    features, _ = jax.jit(network.features)(jnp.asarray(strain), network.initial_state(2), keys)
    good = np.ones((2, features.shape[2]), bool)
    good[:, :WARM_UP] = False
    return [SlideSegment(np.asarray(f), good) for f in features]


def consistency(trained, noise):
    """Slides of the common noise against separate noise as it is."""
    common, separate = noise
    true = joined(trained, separate.features)
    level = float(np.quantile(true, 0.97))
    found = find_triggers(
        np.arange(true.size - WARM_UP) * FRAME, true[WARM_UP:], threshold=level, cluster_seconds=0.3
    )
    slid = slide_background(
        replace(trained, warm_up_seconds=0.5),
        [common],
        budget_bytes=PLENTY,
        **{**CHOICES, "threshold": level},
    )
    return slide_consistency(
        slid.statistic,
        found.statistic,
        slid_seconds=slid.seconds,
        true_seconds=FRAME * np.count_nonzero(separate.good.all(axis=0)),
        threshold=level,
    )


def test_slides_of_common_noise_are_like_separate_noise_and_a_broken_slide_is_not(
    trained, noise, monkeypatch
):
    sound = consistency(trained, noise)
    assert sound.consistent
    assert sound.true_peaks > 100
    assert sound.rate_ratio_low < 1 < sound.rate_ratio_high
    assert sound.rate_ratio == pytest.approx(1, abs=0.2)
    monkeypatch.setattr("ligo_cpc_snn.search.slide_plan.slide_shifts", lambda *_: [0] * 5)
    broken = consistency(trained, noise)
    assert not broken.consistent
    assert broken.ks_p_value < 1e-4 or not broken.rate_ratio_low < 1 < broken.rate_ratio_high


def test_consistency_tells_rates_from_shapes():
    rng = np.random.default_rng(0)
    true = rng.exponential(size=400)
    times = {"slid_seconds": 1000.0, "true_seconds": 400.0, "threshold": 0.0}
    same = slide_consistency(rng.exponential(size=1000), true, **times)
    assert same.consistent
    assert same.rate_ratio == pytest.approx(1.0)
    more = slide_consistency(rng.exponential(size=1500), true, **times)
    assert not more.consistent
    assert more.ks_p_value > 0.01
    assert more.rate_ratio == pytest.approx(1.5)
    wider = slide_consistency(1.5 * rng.exponential(size=1000), true, **times)
    assert not wider.consistent
    assert wider.ks_p_value < 0.01
    with pytest.raises(ValueError, match="no true background peak"):
        slide_consistency(true, true[:0], **times)
