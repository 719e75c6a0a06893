"""Stretches of strain: cut, joined, resampled, lined up and split."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.strain.coincidence import coincident, common_time
from ligo_cpc_snn.strain.resampling import resample, resample_all
from ligo_cpc_snn.strain.segments import (
    StrainSegment,
    between,
    cut_spans,
    drop_short,
    good_stretches,
    join_contiguous,
    keep_spans,
    without_dropouts,
    without_duplicates,
)

RATE = 16


def segment(
    start: float, seconds: float, detector: str = "H1", rate: int = RATE, source: str = "file"
) -> StrainSegment:
    """Strain whose values are the GPS times of its samples, so that a shift shows."""
    times = start + np.arange(round(seconds * rate)) / rate
    return StrainSegment(detector, float(start), rate, times, source)


def times_of(segments: list[StrainSegment]) -> np.ndarray:
    return np.concatenate([s.strain for s in segments]) if segments else np.empty(0)


def extents(segments: list[StrainSegment]) -> list[tuple[float, float]]:
    return [(s.gps_start, s.gps_end) for s in segments]


def test_splits_where_strain_is_not_finite() -> None:
    whole = segment(100.0, 10.0)
    whole.strain[[0, 40, 41, 159]] = [np.nan, np.inf, np.nan, np.nan]
    parts = good_stretches(whole)
    assert [part.strain.size for part in parts] == [39, 117]
    for part in parts:
        assert part.strain[0] == part.gps_start
    assert good_stretches(StrainSegment("H1", 0.0, RATE, np.full(9, np.nan), "f")) == []


def test_splits_where_quality_says_no() -> None:
    good = np.ones(160, bool)
    good[32:48] = False
    assert extents(good_stretches(segment(0.0, 10.0), good)) == [(0.0, 2.0), (3.0, 10.0)]


def test_dropouts_are_cut_out_of_noise() -> None:
    rate = 512
    strain = np.random.default_rng(0).standard_normal(10 * rate)
    strain[1000:1400] = 0.0  # no data
    strain[3000:3008] = 7.5  # saturated for 1/64 s
    strain[4000:4007] = 7.5  # shorter: noise may do so
    strain[-100:] = strain[-1]
    parts = without_dropouts([StrainSegment("H1", 100.0, rate, strain, "f")])
    edges = [(round((a - 100) * rate), round((b - 100) * rate)) for a, b in extents(parts)]
    assert edges == [(0, 1000), (1400, 3000), (3008, strain.size - 100)]


def test_noise_has_no_dropouts() -> None:
    noise = np.random.default_rng(1).standard_normal(100000).astype(np.float32) * 1e-21
    whole = StrainSegment("H1", 0.0, 1024, noise.astype(np.float64), "f")
    assert extents(without_dropouts([whole])) == extents([whole])


def test_a_part_of_a_segment_by_time() -> None:
    assert extents([between(segment(100, 10), 95.0, 103.0)]) == [(100, 103)]
    assert between(segment(100, 10), 104.0, 104.0).strain.size == 0
    assert between(segment(100, 10), 120.0, 130.0).strain.size == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(95, 115), st.floats(0, 4)), max_size=5))
def test_cutting_spans_leaves_what_lies_outside(spans: list[tuple[float, float]]) -> None:
    whole = segment(100.0, 10.0)
    cut = [(start, start + length) for start, length in spans]
    left = times_of(cut_spans([whole], cut))
    inside = np.zeros(whole.strain.size, bool)
    for start, end in cut:
        inside |= (whole.strain > start + 1e-3) & (whole.strain < end - 1e-3)
    assert not np.isin(whole.strain[inside], left).any()
    kept = times_of(keep_spans([whole], cut))
    both = np.sort(np.concatenate([left, kept]))
    np.testing.assert_array_equal(both, whole.strain)


def test_drops_short_ones() -> None:
    assert extents(drop_short([segment(0, 3), segment(10, 4)], 4.0)) == [(10, 14)]


def test_joins_files_that_follow_each_other() -> None:
    parts = [segment(4096, 4), segment(0, 5), segment(4100, 4), segment(4100, 4, "L1")]
    joined = join_contiguous(parts)
    assert extents(joined) == [(0, 5), (4096, 4104), (4100, 4104)]
    np.testing.assert_array_equal(joined[1].strain, segment(4096, 8).strain)


def test_uses_a_time_once_and_prefers_the_higher_rate() -> None:
    low, high = segment(0, 10, rate=8), segment(3, 4)
    kept = without_duplicates([low, high, segment(2, 1, "L1"), segment(3, 2)])
    assert [(s.detector, s.gps_start, s.gps_end, s.sample_rate_hz) for s in kept] == [
        ("H1", 0, 3, 8),
        ("H1", 3, 7, 16),
        ("H1", 7, 10, 8),
        ("L1", 2, 3, 16),
    ]


@pytest.mark.parametrize(("own", "wanted"), [(4096, 2048), (1024, 2048), (2048, 2048)])
def test_resampling_keeps_times_and_the_band(own: int, wanted: int) -> None:
    times = np.arange(8 * own) / own
    tone = StrainSegment("H1", 5.0, own, 1e-21 * np.sin(2 * np.pi * 100 * times), "f")
    found = resample(tone, wanted, 400.0)
    assert found.sample_rate_hz == wanted
    assert found.gps_start == 5.0
    expected = 1e-21 * np.sin(2 * np.pi * 100 * np.arange(8 * wanted) / wanted)
    np.testing.assert_allclose(found.strain[200:-200], expected[200:-200], atol=2e-24)


def test_a_band_that_the_file_does_not_carry_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"at 1024 Hz .* above 460.8 Hz, the band ends at 900 Hz"):
        resample(segment(0, 4, rate=1024), 2048, 900.0)


def test_interpolation_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        resample_all([segment(0, 4, rate=1024), segment(9, 4, rate=1024)], 2048, 400.0)
    assert [record.getMessage() for record in caplog.records] == [
        "8 s of strain at 1024 Hz are interpolated to 2048 Hz and hold nothing above 512 Hz"
    ]


def test_common_time_of_two_detectors() -> None:
    segments = [segment(0, 10), segment(20, 10), segment(5, 20, "L1"), segment(0, 99, "V1")]
    groups = coincident(segments, ["H1", "L1"])
    assert [sorted(group) for group in groups] == [["H1", "L1"]] * 2
    assert [extents([group["H1"]])[0] for group in groups] == [(5, 10), (20, 25)]
    for group in groups:
        np.testing.assert_array_equal(group["H1"].strain, group["L1"].strain)
    assert len(coincident(segments, ["H1", "L1"], minimum_seconds=5.0)) == 2


def test_common_time_of_three_and_of_one() -> None:
    segments = [segment(0, 10), segment(2, 10, "L1"), segment(4, 2, "V1"), segment(7, 9, "V1")]
    groups = coincident(segments, ["H1", "L1", "V1"])
    assert [extents([group["V1"]])[0] for group in groups] == [(4, 6), (7, 10)]
    assert len(coincident(segments, ["V1"])) == 2


def test_samples_out_of_phase_are_lined_up_to_the_nearest() -> None:
    (group,) = coincident([segment(0, 10), segment(1.01, 5, "L1")], ["H1", "L1"])
    assert group["H1"].strain.size == group["L1"].strain.size == 80
    assert np.abs(group["H1"].strain - group["L1"].strain).max() < 0.5 / RATE


def test_no_common_time_is_an_error_with_the_times() -> None:
    with pytest.raises(ValueError, match=r"no common time.*H1 5 s in 0 to 5; L1 3 s in 10 to 13"):
        coincident([segment(0, 5), segment(10, 3, "L1")], ["H1", "L1"])
    with pytest.raises(ValueError, match="no strain of L1"):
        coincident([segment(0, 5)], ["H1", "L1"])
    with pytest.raises(ValueError, match="strain at 8, 16 Hz: expected one sample rate"):
        coincident([segment(0, 5), segment(0, 5, "L1", rate=8)], ["H1", "L1"])
    assert common_time([segment(0, 5)], ["H1", "L1"]) == []
    assert common_time([segment(0, 5), segment(10, 3, "L1")], ["H1", "L1"]) == []
