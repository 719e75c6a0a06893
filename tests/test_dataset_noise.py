"""Noise of every kind: white, with its own filters, and a signal fits the noise it lands in."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import signal
from tiny import tiny

from ligo_cpc_snn.conditioning.whitening import (
    WhiteningFilter,
    response,
    whiten,
    whitened_density,
)
from ligo_cpc_snn.config.data_schema import DataConfig, PsdConfig, PsdKind, Source
from ligo_cpc_snn.config.schema import EventConfig
from ligo_cpc_snn.dataset import noise as noise_module
from ligo_cpc_snn.dataset import recorded as recorded_module
from ligo_cpc_snn.dataset.banks import Stretch, build_noise_bank
from ligo_cpc_snn.dataset.load import load_event, load_noise, without_event
from ligo_cpc_snn.dataset.noise import NoiseBlock, synthetic_noise
from ligo_cpc_snn.dataset.psds import record_psds, target_curves
from ligo_cpc_snn.dataset.recorded import event_span, real_noise
from ligo_cpc_snn.strain.curves import Asd, aligo_curve
from ligo_cpc_snn.strain.noise import coloured_noise
from ligo_cpc_snn.strain.segments import StrainSegment

RATE = 512
START = 1126260000.0


def steep(factor: float) -> Asd:
    frequencies = np.geomspace(8, 256, 400)
    return Asd(frequencies, 1e-23 * factor * (1 + (60 / frequencies) ** 3), "steep")


def recorded(detector: str, seed: int, seconds: float = 320.0) -> StrainSegment:
    """Strain of a density of its own, which slowly grows louder, with a line."""
    rng, size = np.random.default_rng([seed, ord(detector[0])]), round(seconds * RATE)
    strain = coloured_noise(rng, steep(seed + 1.0), samples=size, sample_rate_hz=RATE)
    times = np.arange(size) / RATE
    strain *= 1 + 0.2 * times / seconds
    line = 1e-22 * np.sin(2 * np.pi * 61.3 * times)
    return StrainSegment(detector, START, RATE, strain + line, "recorded")


@pytest.fixture(scope="module")
def segments() -> list[StrainSegment]:
    return [recorded("H1", 0), recorded("L1", 1)]


@pytest.fixture(scope="module")
def curve_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("curves")
    for number in range(3):
        curve = steep(2.0 + number)
        table = np.column_stack([curve.frequencies, curve.values])
        np.savetxt(folder / f"{number}.txt", table)
    return [str(folder / f"{number}.txt") for number in range(3)]


def configured(source: Source, kind: PsdKind, files: list[str], count: int = 3) -> DataConfig:
    data = tiny().data
    drawn = {"H1": files, "L1": files} if kind is PsdKind.drawn else {}
    return dataclasses.replace(
        data,
        source=source,
        filter_seconds=2.0,
        psd=PsdConfig(kind, count, drawn, perturbation=0.3),
        real=dataclasses.replace(data.real, block_seconds=32, psd_seconds=64.0),
    )


VARIANTS = [
    (Source.synthetic, PsdKind.fixed),
    (Source.synthetic, PsdKind.drawn),
    (Source.synthetic, PsdKind.perturbed),
    (Source.real, PsdKind.fixed),
    (Source.recoloured, PsdKind.fixed),
    (Source.recoloured, PsdKind.drawn),
    (Source.recoloured, PsdKind.perturbed),
]
variants = pytest.mark.parametrize(("source", "kind"), VARIANTS)


def made(data: DataConfig, segments: list[StrainSegment]) -> list[NoiseBlock]:
    """Return training noise of any source."""
    if data.source is Source.synthetic:
        return synthetic_noise(data, 192.0, 5, "train")
    return real_noise(segments, data, {}, seed=5).training


@variants
def test_noise_is_white_with_the_variance_of_the_band(
    source: Source, kind: PsdKind, segments: list[StrainSegment], curve_files: list[str]
) -> None:
    data = configured(source, kind, curve_files)
    blocks = made(data, segments)
    low, high = data.band_hz
    for detector in data.detectors:
        strain = [s[detector].strain.astype(np.float64) for b in blocks for s in b.stretches]
        variance = np.concatenate(strain).var()
        assert variance == pytest.approx((high - low) / (RATE / 2), rel=0.06)  # soft edges
        powers = [signal.welch(s, RATE, nperseg=RATE)[1] for s in strain if s.size > 4 * RATE]
        power = np.average(powers, axis=0, weights=[s.size for s in strain if s.size > 4 * RATE])
        frequencies = np.arange(power.size)
        flat = (frequencies > 1.15 * low) & (frequencies < 0.92 * high)
        np.testing.assert_allclose(power[flat] * RATE / 2, 1, atol=0.4)
        assert (power[flat] * RATE / 2).std() < 0.12


def chirp() -> np.ndarray:
    times = np.arange(4 * RATE) / RATE
    sweep = signal.chirp(times, 35, 3.0, 180, method="quadratic")
    return 4e-22 * sweep * signal.windows.tukey(times.size, 0.5)


def whitened_as_the_bank_does(strain: np.ndarray, whitening: WhiteningFilter) -> np.ndarray:
    """By the filter's response on a circle, as `signals.whitened` whitens waveforms."""
    padded = np.pad(strain, 2 * RATE)
    frequencies = np.fft.rfftfreq(padded.size, 1 / RATE)
    return np.fft.irfft(np.fft.rfft(padded) * response(whitening, frequencies))


@variants
def test_injecting_before_whitening_equals_adding_after_it(
    source: Source,
    kind: PsdKind,
    segments: list[StrainSegment],
    curve_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Strain is caught on its way to the filter; a signal in it comes out as the bank's."""
    caught: list[StrainSegment] = []

    def catching(segment: StrainSegment, whitening: WhiteningFilter) -> StrainSegment:
        caught.append(segment)
        return original(segment, whitening)

    original = noise_module.whiten_segment
    monkeypatch.setattr(noise_module, "whiten_segment", catching)
    monkeypatch.setattr(recorded_module, "whiten_segment", catching)
    data = dataclasses.replace(configured(source, kind, curve_files), detectors=["H1", "L1"])
    data.quality.reject = False
    compared = 0
    for block in made(data, segments):
        for stretch in block.stretches:
            for detector, whitening in zip(data.detectors, block.filters, strict=True):
                segment = stretch[detector]
                before = next(s for s in caught if _whitened_to(s, segment, whitening))
                injected, at = before.strain.copy(), 3 * RATE
                injected[at : at + 4 * RATE] += chirp()
                start = at - 2 * RATE - whitening.crop
                added = segment.strain.astype(np.float64)
                added[start : start + 8 * RATE] += whitened_as_the_bank_does(chirp(), whitening)
                difference = whiten(injected, whitening) - added
                loudness = np.linalg.norm(added - segment.strain)
                assert loudness > 5
                assert np.abs(difference).max() < 1e-4
                compared += 1
    assert compared >= 2 * len({id(block) for block in made(data, segments)})


def _whitened_to(
    strain: StrainSegment, whitened: StrainSegment, whitening: WhiteningFilter
) -> bool:
    """Whether a caught segment is what a whitened one was."""
    same = strain.detector == whitened.detector
    size = strain.strain.size == whitened.strain.size + 2 * whitening.crop
    return same and size and np.array_equal(whiten(strain.strain, whitening), whitened.strain)


def test_drawn_curves_come_from_the_files_and_each_as_often(curve_files: list[str]) -> None:
    data = configured(Source.synthetic, PsdKind.drawn, curve_files, count=7)
    curves = target_curves(data, 2, "train")
    assert len(curves) == 7
    names = {d: [row[d].name for row in curves] for d in data.detectors}
    for drawn in names.values():
        assert set(drawn[:3]) == set(drawn[3:6]) == set(curve_files)
    assert names["H1"] != names["L1"]  # detectors draw on their own
    again = [row["H1"].name for row in target_curves(data, 2, "train")]
    assert again == names["H1"]
    assert any(
        [row["H1"].name for row in target_curves(data, 2, other)] != names["H1"]
        for other in ("validation", "test", "more")
    )


def test_nothing_to_draw_from_is_an_error() -> None:
    data = configured(Source.synthetic, PsdKind.drawn, [])
    with pytest.raises(ValueError, match=r"psd\.kind=drawn without data\.psd\.files\.H1"):
        target_curves(data, 0, "train")


def test_perturbed_curves_differ_by_as_much_as_asked() -> None:
    data = configured(Source.synthetic, PsdKind.perturbed, [], count=60)
    curves = target_curves(data, 3, "train")
    grid = np.geomspace(20, 250, 100)
    logs = np.array([np.log(row["L1"].at(grid) / aligo_curve(256.0).at(grid)) for row in curves])
    assert logs.std() == pytest.approx(0.3, rel=0.15)
    assert np.abs(logs[0] - logs[1]).max() > 0.1


def test_blocks_share_the_time_and_have_filters_of_their_own(curve_files: list[str]) -> None:
    data = configured(Source.synthetic, PsdKind.drawn, curve_files, count=5)
    blocks = synthetic_noise(data, 32.0, 5, "train")
    assert sum(block.seconds for block in blocks) == pytest.approx(32.0)
    assert len(blocks) == 5
    taps = {block.filters[0].taps.tobytes() for block in blocks}
    assert len(taps) == 3  # of the three files
    other = synthetic_noise(data, 32.0, 5, "validation")
    one, two = (b[0].stretches[0]["H1"].strain for b in (blocks, other))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1  # sets have streams of their own


def test_recoloured_noise_draws_from_the_strains_own_densities(
    segments: list[StrainSegment],
) -> None:
    data = configured(Source.recoloured, PsdKind.drawn, [], count=4)
    data = dataclasses.replace(data, psd=dataclasses.replace(data.psd, files={}))
    blocks = real_noise(segments, data, {}, seed=1).training
    assert 1 < len(blocks) <= 4
    own = real_noise(segments, dataclasses.replace(data, source=Source.real), {}).training
    for d in range(2):
        known = np.array([np.log(whitened_density(block.filters[d], 200)[1]) for block in own])
        for block in blocks:
            drawn = np.log(whitened_density(block.filters[d], 200)[1])
            distance = np.sqrt(np.mean((known - drawn) ** 2, axis=1))
            assert distance.min() < 0.02
            assert distance.max() > 0.05  # not all the same


def test_recorded_noise_keeps_its_faults_when_it_is_recoloured(
    segments: list[StrainSegment],
) -> None:
    """A glitch of the strain is one of the recoloured noise, at its time and as loud."""
    data = configured(Source.real, PsdKind.fixed, [])
    data.quality.reject = False
    loud = [dataclasses.replace(s, strain=s.strain.copy()) for s in segments]
    first = real_noise(segments, data, {}).training[0].stretches[0]["H1"]
    at = round((first.gps_start + first.duration / 2 - START) * RATE)
    times = np.arange(-RATE, RATE) / RATE
    loud[0].strain[at - RATE : at + RATE] += (
        4e-21 * np.exp(-((times / 0.02) ** 2)) * np.cos(2 * np.pi * 120 * times)
    )
    peaks = []
    for source in (Source.real, Source.recoloured):
        noise = real_noise(loud, dataclasses.replace(data, source=source), {}).training
        whole = [s["H1"] for block in noise for s in block.stretches]
        loudest = max(whole, key=lambda s: np.abs(s.strain).max())
        index = int(np.abs(loudest.strain).argmax())
        peaks.append((loudest.gps_start + index / RATE, np.abs(loudest.strain).max()))
    assert peaks[0][0] == pytest.approx(START + at / RATE, abs=0.02)
    assert peaks[1][0] == pytest.approx(peaks[0][0], abs=0.01)
    assert peaks[1][1] == pytest.approx(peaks[0][1], rel=0.1)
    assert peaks[0][1] > 15


def strains(blocks: list[NoiseBlock]) -> list[np.ndarray]:
    return [segment.strain for b in blocks for s in b.stretches for segment in s.values()]


def spans(blocks: list[NoiseBlock]) -> list[tuple[float, float]]:
    return [(s["H1"].gps_start, s["H1"].gps_end) for b in blocks for s in b.stretches]


@pytest.mark.parametrize("source", [Source.real, Source.recoloured])
@pytest.mark.parametrize("kind", ["validation", "test"])
def test_no_sample_of_a_set_is_in_anothers_noise(
    source: Source, kind: str, segments: list[StrainSegment]
) -> None:
    """One set's strain is replaced by other, a thousand times louder; it is resampled, too."""
    data = configured(source, PsdKind.fixed, [])
    data = dataclasses.replace(data, sample_rate_hz=RATE // 2, lowpass_hz=100.0)
    data.real.test_fraction = 0.25
    noise = real_noise(segments, data, {})
    changed, rng = [dataclasses.replace(s, strain=s.strain.copy()) for s in segments], 9
    for segment in changed:
        for block in range(10):
            middle = START + 32 * block + 16
            if any(a <= middle < b for a, b in spans(getattr(noise, kind))):
                louder = np.random.default_rng(rng).standard_normal(32 * RATE) * 1e-18
                segment.strain[32 * RATE * block : 32 * RATE * (block + 1)] = louder
    other = real_noise(changed, data, {})
    for name in ("training", "validation", "test"):
        before, after = (strains(getattr(n, name)) for n in (noise, other))
        equal = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert all(equal) if name != kind else not any(equal)


def test_events_and_excluded_times_are_left_out(segments: list[StrainSegment]) -> None:
    data = configured(Source.real, PsdKind.fixed, [])
    data.real.exclude_gps = [f"{START + 100:.0f}-{START + 110:.0f}"]
    noise = real_noise(segments, data, {"GW": START + 40, "elsewhere": 1e9})
    found = spans(noise.training + noise.validation)
    for start, end in found:
        assert end <= START + 38 or start >= START + 42
        assert end <= START + 99 or start >= START + 111  # and the filter's edges beside it
        assert end - start <= 64
    assert sum(end - start for start, end in found) > 250
    for block in noise.training + noise.validation:
        for stretch in block.stretches:
            assert stretch["H1"].gps_start == stretch["L1"].gps_start


def test_a_set_that_cuts_leave_nothing_of_is_named(segments: list[StrainSegment]) -> None:
    data = configured(Source.real, PsdKind.fixed, [])
    data.real.minimum_seconds = 1.0
    data.real.exclude_gps = [f"{START + t:.0f}-{START + t + 1:.0f}" for t in range(3, 320, 4)]
    with pytest.raises(ValueError, match=r"no training noise is left of \d+ stretches.* 4 s"):
        real_noise(segments, data, {})


def write(path: Path, segment: StrainSegment) -> None:
    with h5py.File(path, "w") as file:
        file["strain"] = segment.strain
        file["strain"].attrs.update({"x0": segment.gps_start, "dx": 1 / RATE})


def test_search_and_training_whiten_alike(tmp_path: Path) -> None:
    """The event's path and the bank's, from one file: the same samples."""
    for detector in ("H1", "L1"):
        write(tmp_path / f"{detector}-strain.hdf5", recorded(detector, 2, 96.0))
    data = configured(Source.real, PsdKind.fixed, [])
    data.strain_dir = str(tmp_path)
    data.quality.reject = False
    data.real.block_seconds, data.real.psd_seconds = 64, 256.0
    noise = load_noise(data, seed=0, cache_dir=tmp_path, budget_bytes=10**9)
    bank = build_noise_bank(
        [
            [Stretch(s[d].strain, n) for n, b in enumerate(noise.training) for s in b.stretches]
            for d in data.detectors
        ],
        data.window_samples,
    )
    stretch = noise.training[0].stretches[0]["H1"]
    middle = (stretch.gps_start + stretch.gps_end) / 2
    # As much strain for its PSD as the stretch's own: it is whitened with that of its strain.
    own = stretch.duration + data.filter_seconds
    data.real.psd_seconds = own
    event = EventConfig(name="GW", gps=middle, seconds=stretch.duration)
    found = load_event(data, event, tmp_path)
    assert found.stretch["H1"].gps_start == stretch.gps_start
    for d, detector in enumerate(data.detectors):
        size = stretch.strain.size
        np.testing.assert_array_equal(bank.strain[d, :size], found.stretch[detector].strain)


def test_no_noise_is_of_the_strain_that_an_event_is_looked_for_in(tmp_path: Path) -> None:
    for detector in ("H1", "L1"):
        write(tmp_path / f"{detector}-strain.hdf5", recorded(detector, 2))
    data = configured(Source.real, PsdKind.fixed, [])
    data.strain_dir, data.quality.reject = str(tmp_path), False
    data.real.test_fraction = 0.2
    gps, seconds = START + 150.0, 20.0
    event = EventConfig(name="GW", gps=gps, seconds=seconds)
    sets = []
    for used in (data, without_event(data, event)):
        noise = load_noise(used, seed=0, cache_dir=tmp_path, budget_bytes=10**9)
        sets.append(spans(noise.training + noise.validation + noise.test))
    # Whitened noise knows half a filter more at each end, and so does the event's.
    far = seconds / 2 + data.filter_seconds
    near = [[s for s in of_set if s[1] > gps - far and s[0] < gps + far] for of_set in sets]
    assert near[0]
    assert not near[1]
    assert without_event(data, EventConfig()) is data


@pytest.mark.parametrize(
    ("name", "masses"), [("GW170817", 1.1977), ("GW190425_081805", 1.487), ("GW150914", 0.0)]
)
def test_a_neutron_stars_event_is_cut_from_where_it_enters_the_band(
    name: str, masses: float
) -> None:
    """Newton's chirp time of the published chirp mass: it is a few per cent of the whole."""
    data = configured(Source.real, PsdKind.fixed, [])
    first, last = event_span(name, 1e9, data)
    assert last == 1e9 + data.real.event_margin_seconds
    chirp = masses * 4.925491e-6
    newton = 5 / 256 * chirp * (np.pi * chirp * data.band_hz[0]) ** (-8 / 3) if masses else 0.0
    before = max(data.real.event_margin_seconds, newton + data.filter_seconds / 2)
    assert 1e9 - first == pytest.approx(before, rel=0.06)


def test_an_event_at_the_end_of_its_strain_is_an_error(tmp_path: Path) -> None:
    for detector in ("H1", "L1"):
        write(tmp_path / f"{detector}-strain.hdf5", recorded(detector, 2, 64.0))
    data = configured(Source.real, PsdKind.fixed, [])
    data.strain_dir = str(tmp_path)
    gps = START + 64.0 - data.filter_seconds / 4
    event = EventConfig(name="GW", gps=gps, seconds=8.0)
    with pytest.raises(
        ValueError, match=rf"event GW: GPS {gps} .*filter_seconds={data.filter_seconds}"
    ):
        load_event(data, event, tmp_path)


def test_the_record_of_densities_is_what_the_noise_was_whitened_with(
    curve_files: list[str],
) -> None:
    data = configured(Source.synthetic, PsdKind.drawn, curve_files)
    curves = target_curves(data, 5, "train")
    filters = [block.filters for block in synthetic_noise(data, 32.0, 5, "train")]
    record = record_psds(filters, data.detectors)
    assert record is not None
    arrays = record.arrays()
    assert arrays["psd_asd"].shape == (3, 2, arrays["psd_frequencies"].size)
    assert arrays["psd_frequencies"].size <= 2000
    assert arrays["psd_detectors"].tolist() == ["H1", "L1"]
    expected = [[row[d].at(record.frequencies) for d in data.detectors] for row in curves]
    np.testing.assert_allclose(arrays["psd_asd"][..., 50:], np.array(expected)[..., 50:], rtol=0.02)
    assert record_psds([], data.detectors) is None
    many = record_psds([filters[0]] * 500, data.detectors)
    assert many is not None
    assert many.asd.shape[0] == 64


def test_simulated_noise_has_densities_and_no_quality() -> None:
    data = tiny().data
    noise = load_noise(data, seed=0, cache_dir=Path(), budget_bytes=10**9)
    assert noise.test == []
    assert noise.quality is None
    assert noise.psds is not None
    assert noise.psds.asd.shape[:2] == (1, 2)
