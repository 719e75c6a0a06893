"""Waveforms of every approximant against LAL (golden/make_lal_waveforms.py)."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.approximants import ALIGNED_NAMES, MODELS
from ligo_cpc_snn.signals.interpolation import cubic_interpolation
from ligo_cpc_snn.signals.waveforms import SOLAR_MASS_SECONDS, polarizations
from ligo_cpc_snn.strain.curves import aligo_asd

FOLDER = Path(__file__).parent / "golden"
LOWEST_HZ = 20.0
LARGEST = 1e-5
# IMRPhenomXPHM takes minutes to compile where its program is not in the cache.
BINARIES = [
    pytest.param(a, marks=[pytest.mark.slow] if a is Approximant.IMRPhenomXPHM else [])
    for a in Approximant
    if a is not Approximant.SineGaussian
]
FREQUENCIES = np.arange(8193) / 8  # of 8 s at 2048 Hz


@cache
def golden(approximant: Approximant) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return parameters, frequencies and LAL's polarizations, (system, 2, frequency)."""
    with np.load(FOLDER / f"lal_{approximant.value}.npz") as file:
        kept = {name: file[name] for name in file.files}
    h = (kept["real"] + 1j * kept["imag"]) * kept["scale"][..., None] * kept["envelope"]
    parameters = {name: values for name, values in kept.items() if values.shape == (200,)}
    return parameters, kept["frequencies"], h


def mismatch(a: np.ndarray, b: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Mismatch in aLIGO's noise by quadrature on the nodes, not maximised over anything."""
    weight = np.gradient(frequencies) / aligo_asd(frequencies) ** 2

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sum(weight * x * y.conj(), axis=-1).real

    return 1 - product(a, b) / np.sqrt(product(a, a) * product(b, b))


@pytest.mark.parametrize("approximant", BINARIES, ids=lambda a: a.value)
def test_agrees_with_lal(approximant: Approximant) -> None:
    parameters, frequencies, lal = golden(approximant)
    both = polarizations(approximant, parameters, frequencies, 20.0, lowest_hz=LOWEST_HZ)
    ours = np.stack([np.asarray(h) for h in both], axis=1)
    assert np.all(np.isfinite(ours))
    found = mismatch(ours, lal, frequencies)
    assert found.max() < LARGEST
    # Loudness too: a mismatch does not see it.
    sizes = np.linalg.norm(ours, axis=-1) / np.linalg.norm(lal, axis=-1)
    np.testing.assert_allclose(sizes, 1, atol=1e-3)


def test_bursts_agree_with_lal() -> None:
    parameters, frequencies, lal = golden(Approximant.SineGaussian)
    for i in range(200):
        one = {name: values[i : i + 1] for name, values in parameters.items()}
        both = polarizations(Approximant.SineGaussian, one, frequencies[i], 20.0)
        ours = np.stack([np.asarray(h[0]) for h in both])
        assert mismatch(ours, lal[i], frequencies[i]).max() < 1e-6
        np.testing.assert_allclose(ours, lal[i], atol=1e-3 * np.abs(lal[i]).max())


def few(approximant: Approximant, n: int = 20) -> dict[str, np.ndarray]:
    return {name: values[:n] for name, values in golden(approximant)[0].items()}


@pytest.fixture(scope="module")
def ours() -> tuple[np.ndarray, np.ndarray]:
    model = Approximant.IMRPhenomD
    plus, cross = polarizations(model, few(model), FREQUENCIES, 20.0, lowest_hz=LOWEST_HZ)
    return np.asarray(plus), np.asarray(cross)


def test_zero_below_the_lowest_frequency(ours: tuple[np.ndarray, np.ndarray]) -> None:
    for h in ours:
        assert np.all(np.isfinite(h))
        assert np.all(h[:, FREQUENCIES < LOWEST_HZ] == 0)
        assert np.all(np.abs(h[:, FREQUENCIES == LOWEST_HZ]) > 0)


def test_the_strain_peaks_near_time_zero(ours: tuple[np.ndarray, np.ndarray]) -> None:
    # The analytic signal's modulus is the envelope, free of the phase at the merger.
    spectrum = np.zeros((20, 16384), complex)
    spectrum[:, :8193] = ours[0]
    peak = np.argmax(np.abs(np.fft.ifft(spectrum)), axis=-1)
    seconds = np.where(peak > 8192, peak - 16384, peak) / 2048
    systems = few(Approximant.IMRPhenomD)
    total = (systems["mass_1"] + systems["mass_2"]) * SOLAR_MASS_SECONDS
    assert np.all(np.abs(seconds) < 50 * total + 1 / 2048), seconds / total


@pytest.mark.parametrize(
    "approximant", [Approximant.IMRPhenomD, Approximant.TaylorF2], ids=lambda a: a.value
)
def test_extremes_are_finite(approximant: Approximant) -> None:
    corners = {
        "mass_1": np.array([1.4, 500.0, 100.0, 50.0, 2000.0]),
        "mass_2": np.array([1.4, 500.0, 5.0, 50.0, 2000.0]),
        "spin_1z": np.array([0.0, 0.99, -0.99, 0.99, 0.0]),
        "spin_2z": np.array([0.0, 0.99, 0.99, -0.99, 0.0]),
    }
    for h in polarizations(approximant, corners, FREQUENCIES, 20.0):
        assert np.all(np.isfinite(h))


def test_the_quadrupole_of_xphm_is_xp() -> None:
    sources = few(Approximant.IMRPhenomXP, 200)
    frequencies = golden(Approximant.IMRPhenomXP)[1]
    alone = polarizations(
        Approximant.IMRPhenomXPHM, sources, frequencies, 20.0, lowest_hz=LOWEST_HZ, modes=["22"]
    )
    xp = polarizations(Approximant.IMRPhenomXP, sources, frequencies, 20.0, lowest_hz=LOWEST_HZ)
    np.testing.assert_allclose(alone[0], xp[0], rtol=0, atol=1e-9 * np.abs(xp[0]).max())


def test_a_mode_that_is_not_there_is_an_error() -> None:
    sources = few(Approximant.IMRPhenomXPHM, 1)
    with pytest.raises(ValueError, match="IMRPhenomXPHM has no mode '43': it has 21, 22, 32, 33"):
        polarizations(Approximant.IMRPhenomXPHM, sources, FREQUENCIES, 20.0, modes=["22", "43"])


def test_masses_in_the_wrong_order_are_an_error() -> None:
    sources = {"mass_1": np.array([3.0, 1.0]), "mass_2": np.array([2.0, 2.0])}
    with pytest.raises(ValueError, match="source 1 has mass_1=1 and mass_2=2: expected"):
        polarizations(Approximant.IMRPhenomD, sources, FREQUENCIES, 20.0)


def test_every_approximant_has_a_model() -> None:
    assert set(MODELS) == set(Approximant)


def test_cubics_are_interpolated_exactly() -> None:
    nodes = np.arange(12.0)
    values = np.stack([nodes**3 - 4 * nodes, 2 - nodes**2])
    with jax.enable_x64(True):
        x = jnp.linspace(0, 11, 57)
        found = cubic_interpolation(jnp.asarray(values), x)
        np.testing.assert_allclose(found, np.stack([x**3 - 4 * x, 2 - x**2]), atol=1e-10)


def test_the_64_bit_flag_is_left_alone() -> None:
    """In a fresh process and inside a caller's scope, because ripple is imported once in each."""
    code = f"""
import jax, numpy as np
from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.waveforms import polarizations
one = {{name: np.ones(1) for name in {ALIGNED_NAMES!r}}}
with jax.enable_x64(True):
    plus, _ = polarizations(Approximant.IMRPhenomD, one, np.arange(100.0), 20.0)
assert plus.dtype == np.complex128, plus.dtype
assert not jax.config.read("jax_enable_x64")
assert jax.numpy.ones(1).dtype == np.float32
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
