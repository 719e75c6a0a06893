"""The search engine: chunks, streams, gaps, whitening in blocks."""

import threading
from dataclasses import replace
from itertools import pairwise

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_detector import NAMES, RATE, noise, part, small_detector, small_model

from ligo_cpc_snn.conditioning.whitening import whiten
from ligo_cpc_snn.config.model_schema import BridgeConfig, BridgeKind, DetectorFusion, Neuron
from ligo_cpc_snn.search.engine import Engine, Searched
from ligo_cpc_snn.search.feeding import Feeder, prefetched
from ligo_cpc_snn.search.throughput import Meter, Throughput
from ligo_cpc_snn.search.whitened import (
    measured_filter,
    psd_blocks,
    too_short,
    whiten_coincident,
)
from ligo_cpc_snn.strain.resampling import resample

PSD_SECONDS = 6.0


def engine_of(detector, chunk_seconds=2.0, streams=2, keep_features=False, psd=PSD_SECONDS):
    return Engine(
        detector,
        chunk_seconds=chunk_seconds,
        streams=streams,
        psd_seconds=psd,
        keep_features=keep_features,
    )


def segments_of(*seconds: float):
    return [noise(s, gps=1000.0 + 100 * i, seed=i) for i, s in enumerate(seconds)]


def oracle_of(detector):
    """GPS time, statistic and features of all frames of a segment, from one call over 20 s."""
    network = detector.network
    state = network.initial_state(1)
    keys = jax.random.split(jax.random.key(0), network.sequences(1))

    @jax.jit
    def run(strain):
        logits = network(strain, state, keys=keys)[0].frame_logits[0]
        return logits, network.features(strain, state, keys)[0][0] if network.shared else None

    def whole(segment):
        gps, strain = whiten_coincident(segment, detector, PSD_SECONDS)
        frames = strain.shape[1] // detector.frame_samples
        padded = np.pad(strain, ((0, 0), (0, 20 * RATE - strain.shape[1])))
        logits, features = run(padded[None])
        ends = gps + (1 + np.arange(frames)) * detector.frame_samples / RATE
        features = None if features is None else np.asarray(features)[:, :frames]
        return ends, np.asarray(logits)[:frames], features

    return whole


@pytest.fixture(scope="module")
def detector():
    return small_detector()


# Every bridge and every neuron at least once.
KINDS = [
    (list(BridgeKind)[i % len(BridgeKind)], list(Neuron)[i % len(Neuron)])
    for i in range(max(len(BridgeKind), len(Neuron)))
]


@pytest.mark.parametrize(("kind", "neuron"), KINDS)
def test_chunks_and_streams_give_what_the_whole_gives(kind, neuron):
    """Random chunk lengths, none a multiple of the latency bridge's block; gaps between."""
    bridge = BridgeConfig(kind=kind, threshold=0.3, latency_frames=5)
    detector = small_detector(small_model(bridge, neuron=neuron))
    rng = np.random.default_rng(KINDS.index((kind, neuron)))
    segments = segments_of(*rng.uniform(3.0, 15.0, 4))
    engine = engine_of(
        detector,
        chunk_seconds=detector.frame_seconds * int(rng.integers(1, 90)),
        streams=int(rng.integers(2, 4)),
        keep_features=True,
    )
    found, whole = list(engine.run(segments)), oracle_of(detector)
    assert len(found) == len(segments)
    for segment, searched in zip(segments, found, strict=True):
        gps, value, features = whole(segment)
        late = gps > gps[0] + detector.warm_up_seconds - 1e-6
        np.testing.assert_allclose(searched.gps, gps[late], atol=1e-6)
        np.testing.assert_allclose(searched.value, value[late], atol=1e-5)
        assert np.std(value) > 1e-3
        spikes = kind is not BridgeKind.none
        assert searched.features.dtype == (bool if spikes else np.float16)
        np.testing.assert_allclose(
            searched.features.astype(float), features[:, late], atol=0 if spikes else 2e-3
        )
        assert searched.features.astype(float).std() > 0.01


@settings(max_examples=3, deadline=None, derandomize=True)
@given(frames=st.integers(1, 200), streams=st.integers(1, 3))
def test_the_statistic_depends_on_neither_chunks_nor_streams(detector, frames, streams):
    segments = segments_of(3.0, 9.0, 4.0)
    engine, whole = (
        engine_of(detector, frames * detector.frame_seconds, streams),
        oracle_of(detector),
    )
    for segment, searched in zip(segments, engine.run(segments), strict=True):
        expected = whole(segment)[1]
        np.testing.assert_allclose(searched.value, expected[-searched.value.size :], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    chunk=st.integers(1, 600),
    streams=st.integers(1, 4),
    seconds=st.lists(st.floats(2.0, 20.0), max_size=5),
)
def test_every_whitened_frame_is_fed_once_and_in_order(detector, chunk, streams, seconds):
    meter = Meter()
    segments = segments_of(*seconds)
    chunk *= detector.frame_samples
    fed: dict[int, list] = {i: [] for i in range(len(segments))}
    ended = []
    for chunks in Feeder(detector, chunk, streams, PSD_SECONDS, meter)(segments):
        assert len(chunks) <= streams
        for c in chunks:
            assert c.strain.shape == (2, chunk)
            fed[c.about.number].append(c.strain[:, : c.frames * detector.frame_samples])
            ended += [c.about.number] if c.last else []
    assert sorted(ended) == list(range(len(segments)))
    for number, segment in enumerate(segments):
        expected = whiten_coincident(segment, detector, PSD_SECONDS).strain
        got = np.concatenate(fed[number], axis=1)
        assert got.shape[1] == expected.shape[1] // 8 * 8
        np.testing.assert_array_equal(got, expected[:, : got.shape[1]])


def test_joint_encoders_have_no_features_of_one_detector():
    model = small_model()
    model.encoder = replace(model.encoder, detectors=DetectorFusion.joint)
    detector, segments = small_detector(model), segments_of(5.0)
    (found,) = engine_of(detector, keep_features=True).run(segments)
    assert found.features is None
    value = oracle_of(detector)(segments[0])[1]
    np.testing.assert_allclose(found.value, value[-found.value.size :], atol=1e-5)


@pytest.fixture(scope="module")
def searched(detector) -> list[Searched]:
    """Two segments long enough and two too short, one of them the last."""
    return list(engine_of(detector).run(segments_of(9.0, 1.5, 3.0, 0.1)))


def test_seconds_add_up(detector, searched):
    """Whitening takes half a filter from each end, the warm-up its frames, a frame's rest."""
    for found in searched[::2]:
        assert found.left_out is None
        analysed = found.gps.size * detector.frame_seconds
        lost = found.seconds - analysed - found.warm_up_seconds
        assert 0.5 <= lost < 0.5 + detector.frame_seconds
        assert 0.6 <= found.warm_up_seconds < 0.6 + detector.frame_seconds
        start = found.gps_start + 0.25 + found.warm_up_seconds + detector.frame_seconds
        assert found.gps[0] == pytest.approx(start, abs=1e-6)
        assert np.all(np.diff(found.gps) > 0)


def test_too_short_a_segment_is_told_in_its_turn(searched):
    assert [found.gps_start for found in searched] == [1000.0, 1100.0, 1200.0, 1300.0]
    for found in searched[1::2]:
        assert found.gps.size == found.value.size == 0
        assert "two Welch segments of the PSD take 2 s" in found.left_out


def test_too_short_for_filter_and_warm_up():
    detector = small_detector(filter_seconds=4.0)
    why = too_short(noise(4.5), detector)
    assert "4.5 s of strain, the whitening filter, the warm-up and a frame take 4.63" in why
    assert too_short(noise(4.7), detector) is None


def test_a_gap_is_silence(detector):
    """What comes after a gap is what is found there alone, whatever was before."""
    segment = segments_of(12.0)[0]
    pieces = [part(segment, 0, 6 * RATE), part(segment, 7 * RATE, 12 * RATE)]
    both = list(engine_of(detector, streams=1).run(pieces))
    (alone,) = engine_of(detector, streams=1).run(pieces[1:])
    np.testing.assert_array_equal(both[1].value, alone.value)
    assert both[1].gps[0] - both[0].gps[-1] > 1.0 + detector.warm_up_seconds


def test_throughput_counts_strain_and_stages(detector):
    def segments():
        yield from segments_of(9.0, 1.5, 3.0)

    engine = engine_of(detector)
    list(engine.run(segments()))
    spent = engine.throughput
    assert spent.strain_seconds == pytest.approx(12.0)
    assert min(spent.wall_seconds, spent.whiten_cpu_seconds, spent.read_cpu_seconds) > 0
    assert spent.compile_seconds > spent.wall_seconds
    total = Throughput(3600.0, 30.0, 1.0, 2.0, 3.0, 9.0)
    assert total.cpu_seconds == 6.0
    assert total.hours_per_minute == pytest.approx(2.0)
    assert total.times_real_time == pytest.approx(120.0)
    assert total.times_real_time_per_core == pytest.approx(600.0)


def test_faults_name_themselves(detector):
    engine = engine_of(detector)
    with pytest.raises(ValueError, match="no strain of L1 beside that of H1: small needs H1, L1"):
        list(engine.run([{"H1": noise(5.0)["H1"]}]))
    broken = noise(5.0)
    broken["L1"].strain[700] = np.nan
    with pytest.raises(ValueError, match=r"1 of .* samples of strain are not finite"):
        list(engine.run([broken]))

    def unreadable():
        yield noise(5.0)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(engine.run(unreadable()))
    with pytest.raises(ValueError, match=r"psd_seconds=3: expected 4 or more"):
        list(engine_of(detector, psd=3.0).run(segments_of(9.0)))


def test_who_stops_early_leaves_no_thread_behind(detector):
    before = threading.active_count()
    results = engine_of(detector).run(noise(5.0, seed=i) for i in range(1000))
    next(results)
    results.close()
    assert threading.active_count() == before


def test_no_more_is_made_than_asked_for():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    coming = prefetched(items(), 3)
    for i in range(5):
        assert next(coming) == i
        assert len(made) <= i + 1 + 3
    coming.close()
    assert len(made) < 10
    assert list(prefetched(range(7), 3)) == list(range(7))
    assert list(prefetched([], 2)) == []


@given(samples=st.integers(1, 20000), length=st.integers(1100, 4000))
def test_blocks_cover_a_segment(detector, samples, length):
    blocks = psd_blocks(samples, length, detector)
    assert blocks[0][0] == 0
    assert blocks[-1][1] == samples
    assert all(a[1] == b[0] for a, b in pairwise(blocks))
    assert all(b - a == length for a, b in blocks[:-1])
    last = blocks[-1][1] - blocks[-1][0]
    assert len(blocks) == 1 or length <= 2 * last
    assert 2 * last < 3 * length


def test_each_block_is_whitened_with_its_own_psd(detector):
    """The second block is ten times louder: both come out at the same variance."""
    segment = noise(20.0)
    for name in NAMES:
        segment[name].strain[6 * RATE : 12 * RATE] *= 10.0
    gps, strain = whiten_coincident(segment, detector, PSD_SECONDS)
    assert gps == 1000.25
    assert strain.dtype == np.float32
    assert strain.shape == (2, 19.5 * RATE)
    for d, name in enumerate(NAMES):
        row = segment[name].strain
        for start, stop in ((0, 6), (6, 12), (12, 20)):
            own = measured_filter(row[start * RATE : stop * RATE], detector)
            expected = whiten(row, own)
            first, last = max(start * RATE - 64, 0), min(stop * RATE - 64, expected.size)
            np.testing.assert_allclose(
                strain[d, first:last], expected[first:last], atol=1e-5 * np.std(expected)
            )
    inner = [strain[:, RATE : 5 * RATE], strain[:, 7 * RATE : 11 * RATE]]
    assert np.std(inner[1]) == pytest.approx(np.std(inner[0]), rel=0.1)


def test_strain_of_another_rate_is_resampled_as_for_training(detector):
    fine = noise(9.0, rate=2 * RATE)
    coarse = {name: resample(s, RATE, 100.0) for name, s in fine.items()}
    expected = whiten_coincident(coarse, detector, PSD_SECONDS)
    found = whiten_coincident(fine, detector, PSD_SECONDS)
    assert found.gps_start == expected.gps_start
    np.testing.assert_array_equal(found.strain, expected.strain)
