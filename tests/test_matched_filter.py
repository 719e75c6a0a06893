"""Filter, chi-squared, coincidence and the whole matched-filter search."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from ligo_cpc_snn.conditioning.psd import STRAIN_SCALE
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, whiten
from ligo_cpc_snn.search.matched.bank import TemplateBank
from ligo_cpc_snn.search.matched.chisq import band_starts, reduced_chi_squared, reweighted
from ligo_cpc_snn.search.matched.filtering import SingleTriggers, find_triggers, norms
from ligo_cpc_snn.search.matched.followup import follow_up
from ligo_cpc_snn.search.matched.placement import BankRanges
from ligo_cpc_snn.search.matched.search import run_matched_filter, search_strain
from ligo_cpc_snn.search.matched.segments import FilterData, from_whitened
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.matched.templates import TemplateSpectra, filter_grid
from ligo_cpc_snn.strain.curves import Asd
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.strain.noise import coloured_noise
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.units import YEAR_SECONDS

GOLDEN_FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((GOLDEN_FOLDER / "matched.json").read_text())
ASD = json.loads((GOLDEN_FOLDER / "pycbc_snr.json").read_text())["asd"]
CURVE = np.array(ASD["hz"]), np.array(ASD["asd"])
FOLDER = Path(__file__).parents[2] / "shared" / "data" / "mlgwsc1"
with_data = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no folder {FOLDER}")
RATE = 2048
SETTINGS = MatchedFilterSettings(threshold=3.0)
START = 1238205077.0


def bank_of(masses: np.ndarray) -> TemplateBank:
    zero = np.zeros(len(masses))
    parameters = {"mass_1": masses[:, 0], "mass_2": masses[:, 1], "spin_1z": zero, "spin_2z": zero}
    return TemplateBank(parameters, BankRanges(), 20.0, "none", 0)


BANK = bank_of(np.array([row["masses"] for row in GOLDEN["triggers"][:11]]))


@pytest.fixture(scope="module")
def whitening() -> WhiteningFilter:
    return design_filter(*CURVE, RATE, 2.0, (18.0, 948.0))


def data_of(
    strain: np.ndarray, whitening: WhiteningFilter, settings: MatchedFilterSettings
) -> FilterData:
    whitened = np.zeros(strain.size, np.float32)
    whitened[whitening.crop : -whitening.crop] = whiten(strain, whitening)
    return from_whitened(whitened, [whitening], START, RATE, filter_grid(BANK, settings))


def noise(seed: int, seconds: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return coloured_noise(rng, Asd(*CURVE), samples=seconds * RATE, sample_rate_hz=RATE)


def found_in(data: FilterData, settings: MatchedFilterSettings) -> SingleTriggers:
    grid = filter_grid(BANK, settings)
    return find_triggers(data, TemplateSpectra(BANK, grid), grid, settings)


def signal(
    snr: float, number: int, samples: int, at: float, whitening: WhiteningFilter
) -> np.ndarray:
    """Return strain of a template whose t = 0 is at `at` s, of an optimal ratio."""
    settings = replace(SETTINGS, segment_seconds=samples // RATE)
    grid = filter_grid(BANK, settings)
    templates = TemplateSpectra(BANK, grid)
    spectrum = np.asarray(templates.of(np.array([number])))
    data = data_of(np.zeros(samples), whitening, settings)
    turned = spectrum[0] * np.exp(-2j * np.pi * grid.frequencies * at) / norms(spectrum, data)[0, 0]
    full = np.zeros(samples // 2 + 1, complex)
    full[grid.low : grid.high] = snr * turned * RATE
    return np.fft.irfft(full) / STRAIN_SCALE


@with_data
def test_ratios_and_chi_squared_are_pycbcs(whitening: WhiteningFilter) -> None:
    grid, settings = filter_grid(BANK, SETTINGS), replace(SETTINGS, threshold=2.0)
    templates = TemplateSpectra(BANK, grid)
    for part in read_strain(FOLDER / "ds1_fg_300s.hdf"):
        data = data_of(part.strain, whitening, settings)
        triggers = find_triggers(data, templates, grid, settings)
        rows = [row for row in GOLDEN["triggers"] if row["detector"] == part.detector]
        tc = np.array([row["tc"] for row in rows])
        near = np.abs(triggers.gps - tc[triggers.template]) <= 0.1
        close = follow_up(triggers, near, data, templates, grid, settings)
        for i, row in enumerate(rows):
            own = np.flatnonzero(near & (triggers.template == i))
            k = own[np.argmax(np.abs(close.snr[own]))]
            # PyCBC's peak is a sample at 2048 Hz, and its inverse spectrum is not truncated.
            assert np.abs(close.snr[k]) == pytest.approx(row["snr"], rel=0.008)
            assert close.reduced[k] == pytest.approx(row["reduced"], abs=0.04)
            assert close.gps[k] == pytest.approx(row["gps"], abs=3e-4)
            ranked = reweighted(np.abs(close.snr[k : k + 1]), close.reduced[k : k + 1])
            assert ranked[0] == pytest.approx(row["reweighted"], rel=0.04)


def test_reweighting_is_pycbcs() -> None:
    snr, reduced, expected = np.array(GOLDEN["newsnr"]).T
    np.testing.assert_allclose(reweighted(snr, reduced), expected, rtol=1e-12)


# The templates' sharp ends at 20 and 900 Hz ring on: segments agree to a fiftieth of the noise.
@pytest.mark.parametrize(
    "change, tolerance",
    [({"segment_seconds": 32}, 0.06), ({"memory_bytes": 3 * 32 * 64 * 1024}, 1e-4)],
)
def test_segments_and_batches_change_nothing(
    change: dict[str, int], tolerance: float, whitening: WhiteningFilter
) -> None:
    strain = noise(1, 100)
    whole = found_in(data_of(strain, whitening, SETTINGS), SETTINGS)
    settings = replace(SETTINGS, **change)
    parts = found_in(data_of(strain, whitening, settings), settings)
    # A ratio at the threshold may fall to either side of it.
    sure = np.abs(whole.snr) > SETTINGS.threshold + tolerance
    places = zip(parts.template, np.round(parts.gps * 1024), strict=True)
    found = dict(zip(places, parts.snr, strict=True))
    places = zip(whole.template, np.round(whole.gps * 1024), strict=True)
    again = np.array([found.get(place, 0.0) for place in places])
    assert np.count_nonzero(sure) > 500
    # Where two samples of a window are equally loud, the other one may be chosen.
    assert np.mean(np.abs(again - whole.snr)[sure] < tolerance) > 0.985


def test_noise_has_unit_ratios_and_chi_squared(whitening: WhiteningFilter) -> None:
    data = data_of(noise(2, 200), whitening, SETTINGS)
    grid = filter_grid(BANK, SETTINGS)
    templates = TemplateSpectra(BANK, grid)
    triggers = find_triggers(data, templates, grid, SETTINGS)
    # Of 11 templates' moments of unit noise, exp(-3^2 / 2) of independent ones are above 3.
    rate = np.count_nonzero(triggers.template == 0) / 200
    assert 0.5 < rate < 8
    some = np.zeros(triggers.gps.size, bool)
    some[:: max(1, some.size // 150)] = True
    close = follow_up(triggers, some, data, templates, grid, SETTINGS)
    assert np.nanmean(close.reduced) == pytest.approx(1, abs=0.06)
    gained = np.abs(close.snr[some]) - np.abs(triggers.snr[some])
    assert gained.min() > -0.03
    assert 0 < gained.mean() < 0.15  # between the samples the ratio is a little larger


def test_a_signal_keeps_its_ratio_and_a_glitch_does_not(whitening: WhiteningFilter) -> None:
    samples = 64 * RATE
    wave = signal(20.0, 3, samples, 40.2501, whitening)
    time = np.arange(samples) / RATE - 20
    pulse = np.exp(-((time / 0.01) ** 2)) * np.cos(2 * np.pi * 80 * time) * 5e-21
    data = data_of(wave + pulse, whitening, SETTINGS)
    grid = filter_grid(BANK, SETTINGS)
    templates = TemplateSpectra(BANK, grid)
    triggers = find_triggers(data, templates, grid, SETTINGS)
    own = triggers.template == 3
    close = follow_up(triggers, own, data, templates, grid, SETTINGS)
    ranked = np.where(own, reweighted(np.abs(close.snr), close.reduced), 0.0)
    late = np.abs(triggers.gps - START - 40.25) < 0.2
    best = np.argmax(np.where(late, ranked, 0))
    assert np.abs(close.snr[best]) == pytest.approx(20, rel=0.005)
    assert close.gps[best] - START == pytest.approx(40.2501, abs=1e-4)
    assert close.reduced[best] < 0.1  # without noise the signal is its template
    early = np.abs(triggers.gps - START - 20) < 1
    loud = np.abs(close.snr[early & own]).max()
    assert loud > 20
    assert ranked[early & own].max() < 0.6 * loud


def test_chi_squared_of_equal_parts_is_zero() -> None:
    assert reduced_chi_squared(np.full(16, 0.5 + 0.1j)) == pytest.approx(0)
    one_band = np.zeros(16, complex)
    one_band[3] = 8.0
    assert reduced_chi_squared(one_band) == pytest.approx(64 * 15 / 30)
    starts = band_starts(np.array([1.0, 1, 1, 1, 2, 2, 4]), 3)
    assert list(starts) == [0, 4, 6]


@pytest.fixture
def pair() -> dict[str, StrainSegment]:
    """64 s of two detectors' noise with a signal of template 3 at 25 s, 6 ms later in L1."""
    made = design_filter(*CURVE, RATE, 2.0, (18.0, 948.0))
    strain = {}
    for i, (name, at) in enumerate((("H1", 25.0), ("L1", 25.006))):
        values = noise(10 + i, 64) + signal(9.0, 3, 64 * RATE, at, made)
        strain[name] = StrainSegment(name, START, RATE, values, "made")
    return strain


def test_the_search_finds_a_signal_and_its_background_does_not(
    pair: dict[str, StrainSegment], tmp_path: Path
) -> None:
    found = search_strain([pair], BANK, SETTINGS, slides=5)
    assert found.seconds == 64
    assert found.background_seconds == 5 * 64
    events = found.events
    best = int(np.argmax(events.statistic))
    assert events.gps[best] - START == pytest.approx(25.003, abs=2e-3)
    assert events.template[best] == 3
    assert events.statistic[best] == pytest.approx(9 * np.sqrt(2), abs=2.5)
    assert np.all(np.diff(events.gps) > SETTINGS.cluster_seconds)
    assert found.background.max() < events.statistic[best] - 2
    with h5py.File(tmp_path / "in.hdf", "w") as file:
        for name, part in pair.items():
            dataset = file.create_dataset(f"{name}/{int(START)}", data=part.strain)
            dataset.attrs.update({"start_time": START, "delta_t": 1 / RATE})
    BANK.save(tmp_path / "bank.hdf")
    said = run_matched_filter(
        tmp_path / "in.hdf", tmp_path / "out.hdf", tmp_path / "bank.hdf", SETTINGS, slides=5
    )
    assert said["events"] == events.gps.size
    assert said["background_seconds"] == 5 * 64
    assert said["templates"] == 11
    with h5py.File(tmp_path / "out.hdf") as file:
        np.testing.assert_allclose(file["time"][()], events.gps, atol=1e-6)
        np.testing.assert_allclose(file["stat"][()], events.statistic, atol=1e-5)
        assert set(file["var"][()]) == {0.3}
        rates = file["far_per_year"][()]
        assert rates[best] == pytest.approx(YEAR_SECONDS / 320)
        assert rates.max() > rates[best]


def test_strain_too_short_is_left_out(
    pair: dict[str, StrainSegment], caplog: pytest.LogCaptureFixture
) -> None:
    short = {name: part.samples(0, 8 * RATE) for name, part in pair.items()}
    found = search_strain([short], BANK, SETTINGS)
    assert (found.seconds, found.left_out, found.events.gps.size) == (0, 8, 0)
    assert "8.0 s at GPS 1238205077 left out" in caplog.text
