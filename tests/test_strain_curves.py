"""Amplitude spectral densities, analytic and from files."""

from pathlib import Path

import numpy as np
import pytest

from ligo_cpc_snn.strain.curves import Asd, aligo_asd, aligo_curve, perturbed, read_asd

PSD = Path(__file__).parents[2] / "shared" / "data" / "psd"
needs_psd = pytest.mark.skipif(not PSD.is_dir(), reason=f"no folder {PSD}")


@needs_psd
def test_the_fit_is_close_to_the_design_curve() -> None:
    frequencies, power = np.loadtxt(PSD / "aLIGO_ZERO_DET_high_P_psd.txt", unpack=True)
    inside = (frequencies > 20) & (frequencies < 1000)
    ratio = aligo_asd(frequencies[inside]) / np.sqrt(power[inside])
    assert np.quantile(np.abs(np.log(ratio)), 0.95) < 0.025  # the rest are narrow lines
    assert np.median(ratio) == pytest.approx(1, abs=0.01)


def test_the_fit_is_held_below_ten_hertz() -> None:
    np.testing.assert_array_equal(aligo_asd(np.array([0.0, 5.0])), aligo_asd(np.full(2, 10.0)))
    assert aligo_asd(np.array([100.0]))[0] == pytest.approx(4.0e-24, rel=0.1)


def test_interpolates_power_laws_exactly() -> None:
    frequencies = np.geomspace(10, 1000, 7)
    curve = Asd(frequencies, 1e-20 * frequencies**-2.5)
    between = np.array([17.0, 333.0])
    np.testing.assert_allclose(curve.at(between), 1e-20 * between**-2.5, rtol=1e-12)
    np.testing.assert_allclose(curve.at(np.array([0.0, 1.0, 1e4])), curve.values[[0, 0, -1]])


def test_the_curve_is_the_fit() -> None:
    frequencies = np.linspace(15, 1024, 300)
    np.testing.assert_allclose(aligo_curve().at(frequencies), aligo_asd(frequencies), rtol=1e-4)


@pytest.mark.parametrize(("rms", "octaves"), [(0.1, 0.5), (0.4, 2.0)])
def test_perturbations_have_the_rms_and_the_scale_asked_for(rms: float, octaves: float) -> None:
    curve = Asd(2.0 ** np.linspace(3, 10, 281), np.full(281, 1e-23))
    rng = np.random.default_rng(0)
    logs = np.array(
        [np.log(perturbed(curve, rng, rms=rms, octaves=octaves).values / 1e-23) for _ in range(800)]
    )
    assert logs.std() == pytest.approx(rms, rel=0.05)
    assert abs(logs.mean()) < 0.1 * rms
    for steps in (round(40 * octaves), round(80 * octaves)):  # 40 points an octave
        one, other = logs[:, :-steps].ravel(), logs[:, steps:].ravel()
        expected = np.exp(-((steps / 40 / octaves) ** 2) / 2)
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(expected, abs=0.08)


def test_a_perturbation_keeps_lines_and_its_stream_repeats() -> None:
    values = np.full(500, 1e-23)
    values[250] *= 100
    curve = Asd(np.geomspace(10, 1000, 500), values)
    one, again = (perturbed(curve, np.random.default_rng(4), rms=0.1, octaves=0.5) for _ in "ab")
    np.testing.assert_array_equal(one.values, again.values)
    assert 95 < one.values[250] / one.values[249] < 105
    still = perturbed(curve, np.random.default_rng(4), rms=0.0, octaves=0.5)
    np.testing.assert_allclose(still.values, values, rtol=1e-12)


@needs_psd
@pytest.mark.parametrize("name", ["aligo_O3actual_H1.txt", "aligo_O4high.txt"])
def test_reads_real_files(name: str) -> None:
    curve = read_asd(PSD / name)
    assert 1e-24 < curve.at(np.array([100.0]))[0] < 1e-22


@needs_psd
def test_a_power_spectral_density_is_recognised() -> None:
    with pytest.raises(ValueError, match="take the square root"):
        read_asd(PSD / "aLIGO_ZERO_DET_high_P_psd.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10 1e-23 3\n20 1e-23 3\n", "3 columns, expected 2"),
        ("ten 1e-23\n", "not a table of numbers"),
        ("10 1e-23\n", "expected two or more pairs"),
        ("20 1e-23\n10 1e-23\n", "increasing order"),
        ("10 1e-23\n20 0\n30 1e-23\n", "expected finite values > 0"),
    ],
)
def test_bad_files_are_errors_that_name_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "curve.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"curve\.txt.*{message}"):
        read_asd(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt: no such file"):
        read_asd(tmp_path / "nowhere.txt")
