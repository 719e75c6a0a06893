"""Our signals against those PyCBC injected into the MLGWSC-1 challenge's data set 1.

The difference of its foreground and background is the injections alone: IMRPhenomXPHM's
(2, 2) mode without spins, which IMRPhenomD resembles, up to the convention of the
coalescence's time and phase. Sky, delays and loudness must agree.
"""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, response, whiten
from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.projection import project
from ligo_cpc_snn.signals.waveforms import polarizations
from ligo_cpc_snn.strain.curves import aligo_curve
from ligo_cpc_snn.strain.files import read_strain

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "mlgwsc1"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no folder {FOLDER}")
RATE = 2048
DETECTORS = ("H1", "L1")
BEFORE, AFTER = 12 * RATE, 4 * RATE
FREQUENCIES = np.fft.rfftfreq(BEFORE + AFTER, 1 / RATE)
RENAMED = {
    "right_ascension": "ra",
    "declination": "dec",
    "polarization": "polarization",
    "inclination": "inclination",
    "phase": "coa_phase",
}


@pytest.fixture(scope="module")
def whitening() -> WhiteningFilter:
    curve = aligo_curve()
    return design_filter(curve.frequencies, curve.values, RATE, 2.0, (20.0, 900.0))


@pytest.fixture(scope="module")
def injected(whitening: WhiteningFilter) -> dict[str, tuple[float, np.ndarray]]:
    """Start and whitened strain of the injections alone, per detector."""
    pairs = (read_strain(FOLDER / f"ds1_{kind}_300s.hdf") for kind in ("fg", "bg"))
    return {
        foreground.detector: (
            foreground.gps_start + whitening.crop / RATE,
            whiten(foreground.strain - background.strain, whitening),
        )
        for foreground, background in zip(*pairs, strict=True)
    }


@pytest.fixture(scope="module")
def injections() -> dict[str, np.ndarray]:
    with h5py.File(FOLDER / "ds1_inj_300s.hdf") as file:
        table = {name: file[name][()] for name in file}
    masses = np.sort([table["mass1"], table["mass2"]], axis=0)
    found = {"mass_1": masses[1], "mass_2": masses[0], "gps": table["tc"]}
    found |= {ours: table[theirs] for ours, theirs in RENAMED.items()}
    zero = np.zeros_like(table["tc"])
    return found | {"spin_1z": zero, "spin_2z": zero, "distance": table["distance"]}


def ours(one: dict[str, np.ndarray], whitening: WhiteningFilter) -> np.ndarray:
    """Return our whitened strain of one source, (detector, time), and nothing else."""
    model = Approximant.IMRPhenomXAS
    plus, cross = polarizations(model, one, FREQUENCIES, 20.0, lowest_hz=20.0)
    gps = float(one["gps"][0])
    h = np.asarray(project(plus, cross, one, FREQUENCIES, DETECTORS, gps))[0]
    h = h * response(whitening, FREQUENCIES) * RATE * (1000 / one["distance"][0])
    return np.roll(np.fft.irfft(h), BEFORE, axis=-1)


@pytest.mark.parametrize("number", range(1, 11))
def test_loudness_shape_and_delay_agree(
    number: int,
    whitening: WhiteningFilter,
    injected: dict[str, tuple[float, np.ndarray]],
    injections: dict[str, np.ndarray],
) -> None:
    one = {name: values[number : number + 1] for name, values in injections.items()}
    lags = []
    for name, template in zip(DETECTORS, ours(one, whitening), strict=True):
        start, strain = injected[name]
        merger = round((one["gps"][0] - start) * RATE)
        theirs = strain[merger - BEFORE : merger + AFTER]
        snr = np.linalg.norm(template)
        assert np.linalg.norm(theirs) == pytest.approx(snr, rel=0.01)
        # Matched filter over lags, with both quadratures of the template.
        product = np.fft.rfft(theirs) * np.conj(np.fft.rfft(template))
        padded = np.zeros(theirs.size, complex)
        padded[: product.size] = 2 * product
        match = np.abs(np.fft.ifft(padded)) / snr / np.linalg.norm(theirs)
        assert match.max() > 0.99
        lag = int(np.argmax(match))
        lags.append(lag if lag < theirs.size // 2 else lag - theirs.size)
    assert abs(lags[0] - lags[1]) <= 1
    print(lags)
    assert abs(lags[0]) <= 2  # 1 ms: without spins IMRPhenomXAS is the injections' model
