"""The detector over strain that arrives: pieces, gaps, the PSD of the past, latency."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_detector import RATE, noise, part, small_detector

from ligo_cpc_snn.conditioning.whitening import band_pass
from ligo_cpc_snn.search.live import CHUNK_SECONDS, LiveSearch
from ligo_cpc_snn.search.live_resampling import LiveResampling
from ligo_cpc_snn.search.live_whitening import RENEWAL_SECONDS, LiveWhitening
from ligo_cpc_snn.search.whitened import filter_half, rows_of
from ligo_cpc_snn.strain.resampling import resample

PSD_SECONDS = 24.0
pieces_of = st.lists(st.integers(1, 9000), max_size=12)


@pytest.fixture(scope="module")
def detector():
    return small_detector()


def cut(strain, sizes):
    """Pieces of these numbers of samples, and one of the rest."""
    edges = [0, *np.minimum(np.cumsum(sizes, dtype=int), size_of(strain)).tolist()]
    edges.append(size_of(strain))
    return [part(strain, a, b) for a, b in pairwise(edges) if b > a]


def size_of(strain):
    return next(iter(strain.values())).strain.size


def whitened(detector, strain, sizes=(), psd_seconds=PSD_SECONDS):
    live = LiveWhitening(detector, psd_seconds)
    parts = [live.feed(np.stack(rows_of(p, detector))) for p in cut(strain, sizes)]
    return np.concatenate(parts, axis=1)


def found(live, pieces):
    told = [live.feed(piece) for piece in pieces]
    return np.concatenate([t.gps for t in told]), np.concatenate([t.value for t in told])


@settings(max_examples=25, deadline=None)
@given(sizes=pieces_of)
def test_whitening_in_pieces_equals_whitening_whole(detector, sizes):
    strain = noise(70.0, seed=3)
    whole = whitened(detector, strain)
    assert whole.shape == (2, 70 * RATE - 2 * filter_half(detector))
    np.testing.assert_allclose(whitened(detector, strain, sizes), whole, atol=1e-5)


def test_stationary_noise_comes_out_with_unit_density(detector):
    """Inside the band the two-sided density is 1: the variance is the band's share."""
    strain = whitened(detector, noise(400.0), psd_seconds=64.0)
    frequencies = np.linspace(0, RATE / 2, 4001)
    share = np.mean(band_pass(frequencies, detector.band_hz) ** 2)
    settled = strain[:, 64 * RATE :]
    np.testing.assert_allclose(settled.var(axis=1), share, rtol=0.04)
    # Bin by bin, too: 1 s transforms, 336 of them, 22 to 95 Hz.
    blocks = settled[:, : settled.shape[1] // RATE * RATE].reshape(2, -1, RATE)
    density = np.mean(np.abs(np.fft.rfft(blocks * np.hanning(RATE))) ** 2, axis=1)
    density /= np.sum(np.hanning(RATE) ** 2)
    np.testing.assert_allclose(density[:, 25:94].mean(axis=1), 1.0, rtol=0.03)
    assert np.all(np.abs(density[:, 25:94] - 1.0) < 0.35)


@pytest.mark.parametrize("second", [20.0, 47.9, 48.1, 48.3])
def test_no_sample_knows_more_than_half_a_filter_of_the_future(detector, second):
    strain, louder = noise(64.0), noise(64.0)
    louder["H1"].strain[round(second * RATE) :] *= 5.0
    before = round(second * RATE) - 2 * filter_half(detector)
    one, other = whitened(detector, strain), whitened(detector, louder)
    np.testing.assert_array_equal(one[:, :before], other[:, :before])
    assert np.any(one[:, before + 10] != other[:, before + 10])


def test_the_psd_follows_the_noise_of_the_past(detector):
    """Ten times louder from 32 s on: whitened away once the PSD has forgotten the time before."""
    strain = noise(96.0)
    for segment in strain.values():
        segment.strain[32 * RATE :] *= 10.0
    whole = whitened(detector, strain)
    half = filter_half(detector)

    def spread(first, last):
        return whole[:, first * RATE - half : last * RATE - half].std()

    quiet = spread(10, 31)
    assert spread(33, 47) == pytest.approx(10 * quiet, rel=0.1)
    settled = 32 + PSD_SECONDS + RENEWAL_SECONDS
    assert spread(int(settled), 95) == pytest.approx(quiet, rel=0.1)


@settings(max_examples=3, deadline=None, derandomize=True)
@given(sizes=pieces_of)
def test_pieces_of_any_length_give_the_same_statistic(detector, sizes):
    strain = noise(40.0, seed=5)
    live = LiveSearch(detector, PSD_SECONDS)
    gps, value = found(live, cut(strain, sizes))
    expected = LiveSearch(detector, PSD_SECONDS).feed(strain)
    np.testing.assert_allclose(gps, expected.gps, atol=1e-6)
    np.testing.assert_allclose(value, expected.value, atol=1e-5)


def test_the_statistic_is_the_networks_of_the_whitened_strain(detector):
    strain = noise(20.0)
    told = LiveSearch(detector, PSD_SECONDS).feed(strain)
    rows = whitened(detector, strain)
    frames = rows.shape[1] // detector.frame_samples
    rows = rows[None, :, : frames * detector.frame_samples]
    logits = np.asarray(jax.jit(detector.network)(rows)[0].frame_logits[0])
    late = int(np.ceil(detector.warm_up_seconds / detector.frame_seconds))
    np.testing.assert_allclose(told.value, logits[late:][: told.value.size], atol=1e-5)
    assert np.std(told.value) > 1e-3
    first = 1000.0 + 0.25 + (late + 1) * detector.frame_seconds
    assert told.gps[0] == pytest.approx(first, abs=1e-6)
    assert np.diff(told.gps) == pytest.approx(detector.frame_seconds)


def test_nothing_waits_longer_than_half_a_filter_and_a_chunk(detector):
    live = LiveSearch(detector, PSD_SECONDS)
    strain = noise(24.0)
    for piece in cut(strain, [256] * 24):
        told, end = live.feed(piece), piece["H1"].gps_end
        if end < 1008:
            assert not told.gps.size
        else:
            latest = end - detector.filter_seconds / 2 - CHUNK_SECONDS
            assert latest - detector.frame_seconds < told.gps[-1] <= end - 0.25


def test_a_gap_resets_everything(detector):
    """What follows a gap is what is found there alone, warm-up and first PSD included."""
    strain = noise(44.0, seed=2)
    before, after = part(strain, 0, 20 * RATE), part(strain, 20 * RATE + 100, 44 * RATE)
    live = LiveSearch(detector, PSD_SECONDS)
    live.feed(before)
    told = live.feed(after)
    alone = LiveSearch(detector, PSD_SECONDS).feed(after)
    np.testing.assert_array_equal(told.gps, alone.gps)
    np.testing.assert_array_equal(told.value, alone.value)
    assert told.gps[0] > after["H1"].gps_start + 0.25 + detector.warm_up_seconds


@settings(max_examples=25, deadline=None)
@given(sizes=pieces_of, rates=st.sampled_from([(4, 1), (2, 1), (3, 2)]))
def test_resampling_in_pieces_equals_resampling_whole(sizes, rates):
    own, wanted = rates
    segment = noise(30.0, rate=own * RATE)["H1"]
    whole = resample(segment, wanted * RATE, 100.0)
    live = LiveResampling(wanted * RATE, 100.0)
    got = [live.feed(p["H1"]) for p in cut({"H1": segment}, sizes)]
    strain = np.concatenate([p.strain for p in got])
    assert whole.strain.size - strain.size < 30
    # The ends of the stretch are where resampling does not know what comes.
    scale = np.std(whole.strain)
    np.testing.assert_allclose(
        strain[30:], whole.strain[30 : strain.size], atol=(1e-9 if wanted == 1 else 1e-2) * scale
    )


def test_strain_of_another_rate_is_searched(detector):
    fine = noise(20.0, rate=4 * RATE)
    pieces = cut(fine, [4001] * 5)
    gps, value = found(LiveSearch(detector, PSD_SECONDS), pieces)
    coarse = {name: resample(s, RATE, 100.0) for name, s in fine.items()}
    expected = LiveSearch(detector, PSD_SECONDS).feed(coarse)
    assert expected.gps.size - gps.size < 20
    np.testing.assert_allclose(gps, expected.gps[: gps.size], atol=1e-6)
    np.testing.assert_allclose(value, expected.value[: gps.size], atol=1e-3)


def test_faults_name_themselves(detector):
    live, strain = LiveSearch(detector, PSD_SECONDS), noise(10.0)
    with pytest.raises(ValueError, match="no strain of L1 beside that of H1"):
        live.feed({"H1": strain["H1"]})
    late = {"H1": strain["H1"], "L1": strain["L1"].samples(10, 2560)}
    with pytest.raises(ValueError, match=r"L1 2550 samples .*cut them to it"):
        live.feed(late)
    live.feed(strain)
    with pytest.raises(ValueError, match=r"GPS 1005.* ended at 1010.*each time once"):
        live.feed(part(strain, 5 * RATE, 10 * RATE))
