"""Signal-to-noise ratios against PyCBC (golden/make_pycbc_snr.py) and by their definition."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from ligo_cpc_snn.conditioning.whitening import (
    WhiteningFilter,
    band_pass,
    design_filter,
    response,
    whiten,
)
from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.matched_filter import matched_filter, optimal_snr
from ligo_cpc_snn.signals.waveforms import polarizations
from ligo_cpc_snn.strain.files import read_strain

GOLDEN = json.loads((Path(__file__).parent / "golden" / "pycbc_snr.json").read_text())
FOLDER = Path(__file__).parents[2] / "shared" / "data" / "mlgwsc1"
CURVE = np.array(GOLDEN["asd"]["hz"]), np.array(GOLDEN["asd"]["asd"])
with_data = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no folder {FOLDER}")
RATE, SECONDS = 2048, 16
BAND = (20.0, 900.0)
WIDER = (18.0, 948.0)  # of the whitening: flat over the band of the templates
FREQUENCIES = np.fft.rfftfreq(SECONDS * RATE, 1 / RATE)


def below_end() -> np.ndarray:
    end = BAND[1]
    return end > FREQUENCIES


def asd() -> np.ndarray:
    """Amplitude spectral density of the challenge, 1 outside of the band."""
    inside = np.abs(FREQUENCIES - np.mean(WIDER)) <= np.ptp(WIDER) / 2
    return np.where(inside, np.interp(FREQUENCIES, *CURVE), 1.0)


@pytest.fixture(scope="module")
def whitening() -> WhiteningFilter:
    return design_filter(*CURVE, RATE, 2.0, WIDER)


def plus(approximant: str, rows: list[dict[str, float]]) -> np.ndarray:
    ours = {"mass_1": "mass1", "mass_2": "mass2", "spin_1z": "spin1z", "spin_2z": "spin2z"}
    ours |= {"inclination": "inclination", "phase": "coa_phase"}
    sources = {name: np.array([row[theirs] for row in rows]) for name, theirs in ours.items()}
    h, _ = polarizations(Approximant(approximant), sources, FREQUENCIES, 20.0, lowest_hz=BAND[0])
    return np.asarray(h)


@pytest.mark.parametrize("approximant", ["IMRPhenomD", "IMRPhenomXAS"])
def test_optimal_snr_is_pycbcs_sigma_and_the_whitened_norm(
    approximant: str, whitening: WhiteningFilter
) -> None:
    rows = [row for row in GOLDEN["sigma"] if row["approximant"] == approximant]
    h = plus(approximant, rows)
    inside = below_end() & (BAND[0] <= FREQUENCIES)
    found = optimal_snr(h, FREQUENCIES, asd(), inside.astype(float))
    np.testing.assert_allclose(found, [row["sigma"] for row in rows], rtol=1e-3)
    whitened = np.fft.irfft(h * response(whitening, FREQUENCIES) * RATE)
    banded = optimal_snr(h, FREQUENCIES, asd(), band_pass(FREQUENCIES, WIDER))
    np.testing.assert_allclose(np.linalg.norm(whitened, axis=-1), banded, rtol=1e-3)


def injections() -> dict[str, np.ndarray]:
    with h5py.File(FOLDER / "ds1_inj_300s.hdf") as file:
        return {name: file[name][()] for name in file}


@pytest.fixture(scope="module")
def filtered(whitening: WhiteningFilter) -> list[dict[str, float]]:
    """Loudest points of our matched filter beside PyCBC's and the table's."""
    table = injections()
    masses = np.sort([table["mass1"], table["mass2"]], axis=0)
    nothing = dict.fromkeys(("spin1z", "spin2z", "inclination", "coa_phase"), 0.0)
    rows = [
        {"mass1": masses[1, i], "mass2": masses[0, i], **nothing} for i in range(masses.shape[1])
    ]
    h = plus("IMRPhenomXAS", rows) * response(whitening, FREQUENCIES) * below_end()
    templates = np.roll(np.fft.irfft(h), (SECONDS - 2) * RATE, axis=-1)
    foreground = read_strain(FOLDER / "ds1_fg_300s.hdf")
    strain = {
        part.detector: (part.gps_start, whiten(part.strain, whitening)) for part in foreground
    }
    found = []
    for row in GOLDEN["triggers"]:
        start, whitened = strain[row["detector"]]
        snr = np.abs(matched_filter(whitened, templates[row["injection"]]))
        first = start + whitening.crop / RATE + SECONDS - 2  # of the template's t = 0
        gps = first + np.arange(snr.size) / RATE
        tc = table["tc"][row["injection"]]
        near = np.flatnonzero(np.abs(gps - tc) <= 0.1)
        if near.size:
            loudest = near[np.argmax(snr[near])]
            found.append(row | {"our_snr": snr[loudest], "our_gps": gps[loudest], "tc": tc})
    return found


@with_data
def test_matched_filter_finds_what_pycbcs_finds(filtered: list[dict[str, float]]) -> None:
    assert len(filtered) == 20
    for row in filtered:
        # A hundredth of the ratio, and of the noise's deviation what filters of 2 s differ by.
        assert row["our_snr"] == pytest.approx(row["snr"], rel=0.01, abs=0.1)
        if row["snr"] > 3.5:  # fainter than that, two peaks of noise may change places
            assert row["our_gps"] == pytest.approx(row["gps"], abs=0.001)


def test_norm_phase_and_lag() -> None:
    time = np.arange(-256, 256) / RATE
    template = np.exp(-((time / 0.02) ** 2)) * np.cos(2 * np.pi * 150 * time)
    quarter = np.exp(-((time / 0.02) ** 2)) * np.sin(2 * np.pi * 150 * time)
    strain = np.zeros(4096)
    strain[1000:1512] = 3 * template
    strain[3000:3512] = 5 * quarter
    snr = matched_filter(strain, 7 * template)
    assert snr.shape == (4096 - 512 + 1,)
    assert snr[1000] == pytest.approx(3 * np.linalg.norm(template), abs=1e-6)
    assert np.abs(snr)[3000] == pytest.approx(5 * np.linalg.norm(quarter), rel=1e-6)
    assert np.argmax(np.abs(snr)) == 3000
    assert np.abs(snr[3000].real) < 1e-6 < snr[3000].imag


def test_each_part_has_unit_variance_in_white_noise() -> None:
    rng = np.random.default_rng(0)
    template = rng.standard_normal(256) * np.hanning(256)
    snr = matched_filter(rng.standard_normal(200_000), template)
    assert np.var(snr.real) == pytest.approx(1, abs=0.02)
    assert np.var(snr.imag) == pytest.approx(1, abs=0.02)


def test_a_template_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match="template of 9 samples and norm 3 for strain of 8 "):
        matched_filter(np.ones(8), np.ones(9))
    with pytest.raises(ValueError, match="norm 0 for strain"):
        matched_filter(np.ones(8), np.zeros(4))
