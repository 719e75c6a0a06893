"""Bad stretches of recorded noise: judged everywhere, cut from training noise only."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.config.data_schema import DataConfig, Source
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.recorded import RecordedNoise, real_noise
from ligo_cpc_snn.dataset.rejection import Quality
from ligo_cpc_snn.dataset.splits import Set, set_at
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.strain.segments import StrainSegment

LONG = Path(__file__).resolve().parents[2] / "shared" / "data" / "long"
RATE = 512
START = 1126260000
SECONDS = 384


def data_of(source: Source = Source.real) -> DataConfig:
    data = tiny().data
    real = dataclasses.replace(data.real, block_seconds=32, psd_seconds=64.0)
    return dataclasses.replace(data, source=source, real=real)


def glitch_times(data: DataConfig, kind: Set) -> list[int]:
    """GPS seconds of one glitch in each block of a set, not near its edges."""
    blocks = range(START + 12, START + SECONDS, 32)
    return [gps for gps in blocks if set_at(gps, data.real) is kind]


@pytest.fixture(scope="module")
def segments() -> list[StrainSegment]:
    """White strain; a glitch in each block, in H1 in every second of them, L1 in the others."""
    found = []
    for number, detector in enumerate(("H1", "L1")):
        rng = np.random.default_rng(number)
        strain = rng.standard_normal(SECONDS * RATE) * 1e-21
        for second in range(12 + 32 * number, SECONDS, 64):
            times = np.arange(RATE) / RATE - 0.5
            burst = np.exp(-((times / 0.03) ** 2)) * np.sin(2 * np.pi * 100 * times)
            strain[second * RATE : (second + 1) * RATE] += 1e-20 * burst
        found.append(StrainSegment(detector, float(START), RATE, strain, "recorded"))
    return found


def holds(blocks: list[NoiseBlock], gps: float) -> bool:
    return any(
        s["H1"].gps_start <= gps < s["H1"].gps_end for block in blocks for s in block.stretches
    )


def quality_of(noise: RecordedNoise) -> Quality:
    assert noise.quality is not None
    return noise.quality


@pytest.mark.parametrize("source", [Source.real, Source.recoloured])
def test_glitches_leave_the_training_noise_and_stay_in_the_validation_noise(
    source: Source, segments: list[StrainSegment], caplog: pytest.LogCaptureFixture
) -> None:
    data = data_of(source)
    with caplog.at_level(logging.INFO):
        noise = real_noise(segments, data, {})
    for kind, blocks in ((Set.training, noise.training), (Set.validation, noise.validation)):
        times = glitch_times(data, kind)
        assert len(times) >= 2
        assert all(holds(blocks, gps + 0.5) is (kind is Set.validation) for gps in times)
    record = quality_of(noise)
    table = record.table
    for kind in (Set.training, Set.validation):
        bad = table.gps[~table.kept & (table.kind == list(Set).index(kind))]
        for gps in glitch_times(data, kind):
            assert np.abs(bad + 0.5 - gps - 0.5).min() <= 1
    assert np.mean(~table.kept) < 0.06
    assert "training H1:" in caplog.text
    assert "training noise without bad stretches:" in caplog.text
    # Cut in both detectors at once.
    for block in noise.training:
        for stretch in block.stretches:
            assert stretch["H1"].gps_start == stretch["L1"].gps_start
            assert stretch["H1"].strain.size == stretch["L1"].strain.size


def test_glitches_stay_where_they_are_wanted(segments: list[StrainSegment]) -> None:
    data = data_of()
    data.glitches.real_fraction = 0.2
    noise = real_noise(segments, data, {})
    assert all(holds(noise.training, gps + 0.5) for gps in glitch_times(data, Set.training))
    assert np.any(~quality_of(noise).table.kept)  # they are reported all the same
    data.quality.reject = False
    assert real_noise(segments, data, {}).quality is None


def test_clean_noise_loses_next_to_nothing() -> None:
    clean = [
        StrainSegment(
            name, float(START), RATE, np.random.default_rng(i).standard_normal(SECONDS * RATE), "f"
        )
        for i, name in enumerate(("H1", "L1"))
    ]
    table = quality_of(real_noise(clean, data_of(), {})).table
    assert np.mean(~table.kept[table.kind == 0]) < 0.01
    assert np.mean(~table.kept) < 0.02


def test_a_detectors_scale_changes_no_verdict(segments: list[StrainSegment]) -> None:
    louder = [dataclasses.replace(segments[0], strain=segments[0].strain * 1e3), segments[1]]
    one, other = (quality_of(real_noise(s, data_of(), {})).table for s in (segments, louder))
    np.testing.assert_array_equal(one.reason, other.reason)


def test_dropouts_are_cut_from_every_set(segments: list[StrainSegment]) -> None:
    data = data_of()
    data.quality.reject = False
    still = [dataclasses.replace(s, strain=s.strain.copy()) for s in segments]
    held_out = glitch_times(data, Set.validation)[0] + 4
    still[1].strain[(held_out - START) * RATE : (held_out - START + 2) * RATE] = 0.0
    noise = real_noise(still, data, {})
    assert holds(real_noise(segments, data, {}).validation, held_out + 1)
    assert not holds(noise.validation, held_out + 1)


def test_the_record_names_what_its_numbers_mean(segments: list[StrainSegment]) -> None:
    arrays = quality_of(real_noise(segments, data_of(), {})).arrays()
    number = arrays["quality_gps"].size
    for name in ("detector", "set", "peak_to_peak", "kept", "reason"):
        assert arrays[f"quality_{name}"].shape == (number,)
    assert arrays["quality_band_power"].shape == (number, 4)
    assert arrays["quality_threshold_peak_to_peak"].shape == (2,)
    assert arrays["quality_threshold_band_power"].shape == (2, 4)
    assert arrays["quality_candidates"].shape == arrays["quality_errors"].shape == (2, 5, 40)
    assert arrays["quality_reasons"][:2].tolist() == ["kept", "peak to peak"]
    assert arrays["quality_reasons"].size == 6
    assert arrays["quality_sets"].tolist() == ["training", "validation", "test"]
    # The verdicts follow from the thresholds.
    scores = np.column_stack([arrays["quality_peak_to_peak"], arrays["quality_band_power"]])
    thresholds = np.column_stack(
        [arrays["quality_threshold_peak_to_peak"], arrays["quality_threshold_band_power"]]
    )
    kept = np.all(scores <= thresholds[arrays["quality_detector"]], axis=1)
    np.testing.assert_array_equal(arrays["quality_kept"], kept)
    np.testing.assert_array_equal(arrays["quality_reason"] == 0, kept)


def test_too_little_noise_to_learn_from_is_kept_and_said(
    segments: list[StrainSegment], caplog: pytest.LogCaptureFixture
) -> None:
    data = data_of()
    data.quality.stretch_seconds = 15.0
    with caplog.at_level(logging.WARNING):
        noise = real_noise(segments, data, {})
    assert "too few to learn what is bad (expected 40): all is kept" in caplog.text
    assert np.all(quality_of(noise).table.kept)


@pytest.mark.skipif(not LONG.is_dir(), reason=f"no folder {LONG}")
def test_the_loud_glitch_of_real_noise_is_found() -> None:
    path = LONG / "mlgwsc1_real_noise_1238205077-500_2048Hz.hdf"
    data = data_of()
    data = dataclasses.replace(
        data, detectors=["H1"], sample_rate_hz=1024, filter_seconds=4.0, psd_segment_seconds=4.0
    )
    data.real.block_seconds, data.real.psd_seconds = 16, 128.0
    noise = real_noise(read_strain(path, ["H1"]), data, {})
    table = quality_of(noise).table
    loudest = table.gps[table.peak_to_peak.argmax()] - 1238205077
    assert abs(loudest - 455) < 1
    assert not table.kept[table.peak_to_peak.argmax()]
    assert np.mean(~table.kept) < 0.03
