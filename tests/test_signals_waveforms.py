"""IMRPhenomD through ripple, on a coarse grid, against ripple whole and against LAL."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn.signals.waveforms import (
    SOLAR_MASS_SECONDS,
    approximant,
    cubic_interpolation,
    polarizations,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "lal.json").read_text())["waveforms"]
NAMES = ("mass_1", "mass_2", "spin_1z", "spin_2z", "inclination", "phase")
FREQUENCIES = np.arange(8193) / 8  # of 8 s at 2048 Hz
LOWEST_HZ = 20.0


def golden_systems() -> dict[str, np.ndarray]:
    return {name: np.array([s[name] for s in GOLDEN["systems"]]) for name in NAMES}


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap without any alignment in time or phase; 1 for equal waveforms."""
    return float(np.vdot(a, b).real / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def golden_polarizations() -> tuple[np.ndarray, np.ndarray]:
    plus, cross = polarizations(
        golden_systems(), FREQUENCIES, GOLDEN["reference_hz"], lowest_hz=LOWEST_HZ
    )
    return np.asarray(plus), np.asarray(cross)


def test_agrees_with_lal(golden_polarizations: tuple[np.ndarray, np.ndarray]) -> None:
    indices = np.round(np.array(GOLDEN["frequencies"]) * 8).astype(int)
    for i, system in enumerate(GOLDEN["systems"]):
        for ours, name in zip(golden_polarizations, ("plus", "cross"), strict=True):
            lal = np.array(system[f"{name}_real"]) + 1j * np.array(system[f"{name}_imag"])
            assert 1 - overlap(ours[i, indices], lal) < 1e-7
            np.testing.assert_allclose(ours[i, indices], lal, atol=5e-4 * np.abs(lal).max())


def test_the_coarse_grid_changes_nothing(
    golden_polarizations: tuple[np.ndarray, np.ndarray],
) -> None:
    model = jax.jit(approximant(20.0).__call__)
    inside = FREQUENCIES >= LOWEST_HZ
    with jax.enable_x64(True):
        for i, system in enumerate(GOLDEN["systems"]):
            total = system["mass_1"] + system["mass_2"]
            eta = min(system["mass_1"] * system["mass_2"] / total**2, 0.25)
            names = {"M_c": total * eta**0.6, "eta": eta, "d_L": 1000.0}
            names |= {"s1_z": system["spin_1z"], "s2_z": system["spin_2z"]}
            names |= {"phase_c": system["phase"], "iota": system["inclination"]}
            whole = model(jnp.asarray(FREQUENCIES[inside]), names)
            ours = golden_polarizations[0][i, inside], golden_polarizations[1][i, inside]
            assert 1 - overlap(ours[0], np.asarray(whole["p"])) < 1e-10
            assert 1 - overlap(ours[1], np.asarray(whole["c"])) < 1e-10


def test_finite_everywhere_and_zero_below_the_lowest_frequency(
    golden_polarizations: tuple[np.ndarray, np.ndarray],
) -> None:
    for h in golden_polarizations:
        assert np.all(np.isfinite(h))
        assert np.all(h[:, FREQUENCIES < LOWEST_HZ] == 0)
        assert np.all(np.abs(h[:, FREQUENCIES == LOWEST_HZ]) > 0)


def test_extremes_are_finite() -> None:
    corners = {
        "mass_1": np.array([1.4, 500.0, 100.0, 50.0, 2000.0]),
        "mass_2": np.array([1.4, 500.0, 5.0, 50.0, 2000.0]),
        "spin_1z": np.array([0.0, 0.99, -0.99, 0.99, 0.0]),
        "spin_2z": np.array([0.0, 0.99, 0.99, -0.99, 0.0]),
        "inclination": np.zeros(5),
        "phase": np.zeros(5),
    }
    plus, cross = polarizations(corners, FREQUENCIES, 20.0)
    assert np.all(np.isfinite(plus))
    assert np.all(np.isfinite(cross))


def test_the_strain_peaks_near_time_zero(
    golden_polarizations: tuple[np.ndarray, np.ndarray],
) -> None:
    # The analytic signal's modulus is the envelope, free of the phase at the merger.
    spectrum = np.zeros((20, 16384), complex)
    spectrum[:, :8193] = golden_polarizations[0]
    peak = np.argmax(np.abs(np.fft.ifft(spectrum)), axis=-1)
    seconds = np.where(peak > 8192, peak - 16384, peak) / 2048
    systems = golden_systems()
    total = (systems["mass_1"] + systems["mass_2"]) * SOLAR_MASS_SECONDS
    assert np.all(np.abs(seconds) < 50 * total), seconds / total


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
from ligo_cpc_snn.signals.waveforms import polarizations
one = {{name: np.ones(1) for name in {NAMES!r}}}
with jax.enable_x64(True):
    plus, _ = polarizations(one, np.arange(100.0), 20.0)
assert plus.dtype == np.complex128, plus.dtype
assert not jax.config.read("jax_enable_x64")
assert jax.numpy.ones(1).dtype == np.float32
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
