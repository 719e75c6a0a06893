"""Sources drawn from the configured population."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    DistanceKind,
    Distribution,
    MassFrame,
    MassKind,
    PopulationConfig,
    PriorConfig,
    SpinKind,
)
from ligo_cpc_snn.signals.cosmology import redshift_at
from ligo_cpc_snn.signals.masses import chirp_mass
from ligo_cpc_snn.signals.population import REFERENCE_CHIRP_MASS, describe, draw

N = 4000
GOLDEN = json.loads((Path(__file__).parent / "golden" / "population.json").read_text())
INJECTIONS = Path(__file__).parents[2] / "shared" / "data" / "mlgwsc1" / "ds1_inj_300s.hdf"
SPINS = tuple(f"spin_{body}{axis}" for body in (1, 2) for axis in "xyz")
ANGLES = ("right_ascension", "declination", "inclination", "polarization", "phase")
OTHERS = ("lambda_1", "lambda_2", "distance", "redshift", "frequency_hz", "quality")
KEYS = ("mass_1", "mass_2", *SPINS, *ANGLES, *OTHERS)


def fixed(value: float) -> PriorConfig:
    return PriorConfig(Distribution.fixed, value)


def uniform(low: float, high: float) -> PriorConfig:
    return PriorConfig(Distribution.uniform, low, high)


@pytest.mark.parametrize(
    "cfg",
    [
        PopulationConfig(),
        PopulationConfig(spin_kind=SpinKind.precessing, mass_kind=MassKind.ratio),
        PopulationConfig(
            mass_frame=MassFrame.source,
            distance_kind=DistanceKind.chirp,
            distance=PriorConfig(Distribution.uniform, 130.0, 350.0),
        ),
    ],
)
def test_all_parameters_are_always_there(cfg: PopulationConfig) -> None:
    drawn = draw(jax.random.key(0), cfg, 10)
    assert sorted(drawn) == sorted(KEYS)
    for name, values in drawn.items():
        assert (values.shape, values.dtype) == ((10,), np.float32), name


def test_each_prior_has_its_distribution() -> None:
    cfg = PopulationConfig(
        mass_1=PriorConfig(Distribution.log_uniform, 5.0, 100.0), mass_2=fixed(1.0)
    )
    drawn = draw(jax.random.key(0), cfg, N)
    flat = {
        "mass_1": np.log(drawn["mass_1"] / 5) / np.log(20),
        "spin_1z": (drawn["spin_1z"] + 0.9) / 1.8,
        "distance": (drawn["distance"] ** 3 - 100**3) / (2000**3 - 100**3),
        "right_ascension": drawn["right_ascension"] / (2 * np.pi),
        "declination": (1 + np.sin(drawn["declination"])) / 2,
        "inclination": (1 - np.cos(drawn["inclination"])) / 2,
        "polarization": drawn["polarization"] / np.pi,
        "phase": drawn["phase"] / (2 * np.pi),
        "frequency_hz": np.log(drawn["frequency_hz"] / 40) / np.log(10),
    }
    for name, values in flat.items():
        assert stats.kstest(values, "uniform").pvalue > 1e-3, name
    assert np.all(drawn["mass_2"] == 1.0)


def test_the_heavier_is_first_and_takes_its_spin_and_tides_along() -> None:
    cfg = PopulationConfig(
        mass_1=fixed(10.0),
        mass_2=fixed(20.0),
        spin_kind=SpinKind.precessing,
        lambda_1=uniform(0, 1000),
        lambda_2=uniform(2000, 3000),
    )
    drawn = draw(jax.random.key(1), cfg, N)
    assert np.all(drawn["mass_1"] == 20.0)
    ordered = draw(jax.random.key(1), replace(cfg, mass_1=fixed(20.0), mass_2=fixed(10.0)), N)
    for kind in ("spin_{}x", "spin_{}y", "spin_{}z", "lambda_{}"):
        for one, other in ((1, 2), (2, 1)):
            np.testing.assert_array_equal(drawn[kind.format(one)], ordered[kind.format(other)])


def test_precessing_spins_are_isotropic() -> None:
    drawn = draw(jax.random.key(5), PopulationConfig(spin_kind=SpinKind.precessing), N)
    for body in (1, 2):
        spin = np.stack([drawn[f"spin_{body}{axis}"] for axis in "xyz"])
        magnitude = np.linalg.norm(spin, axis=0)
        assert stats.kstest(magnitude / 0.99, "uniform").pvalue > 1e-3
        for component in spin / magnitude:  # Archimedes: uniform along any axis
            assert stats.kstest((1 + component) / 2, "uniform").pvalue > 1e-3
        assert stats.kstest(np.arctan2(spin[1], spin[0]) / (2 * np.pi) + 0.5, "uniform").pvalue > (
            1e-3
        )


def test_a_prior_changes_no_other_parameter() -> None:
    default = PopulationConfig()
    other = replace(
        default, spin_1z=fixed(0.0), mass_kind=MassKind.ratio, spin_kind=SpinKind.precessing
    )
    ours, theirs = (draw(jax.random.key(2), cfg, 10) for cfg in (other, default))
    for name in ("phase", "distance", "redshift", "declination", "lambda_1", "quality"):
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_values_do_not_depend_on_the_64_bit_flag() -> None:
    cfg = load(["population=power_law_peak"]).data.signals.population
    narrow = draw(jax.random.key(3), cfg, 100)
    with jax.enable_x64(True):
        wide = draw(jax.random.key(3), cfg, 100)
    for name, values in narrow.items():
        assert wide[name].dtype == np.float32
        np.testing.assert_array_equal(values, wide[name])


@pytest.mark.parametrize("kind", list(Distribution))
def test_values_stay_between_the_bounds(kind: Distribution) -> None:
    cfg = PopulationConfig(inclination=PriorConfig(kind, 0.3, 1.2))
    values = draw(jax.random.key(4), cfg, N)["inclination"]
    assert values.min() >= np.float32(0.3)
    assert values.max() <= np.float32(1.2)


def test_masses_of_the_source_are_stretched() -> None:
    here = PopulationConfig(mass_1=fixed(30.0), mass_2=fixed(20.0))
    drawn = draw(jax.random.key(6), replace(here, mass_frame=MassFrame.source), 50)
    np.testing.assert_allclose(drawn["redshift"], redshift_at(drawn["distance"] * 1.0), rtol=1e-5)
    np.testing.assert_allclose(drawn["mass_1"], 30 * (1 + drawn["redshift"]), rtol=1e-6)
    np.testing.assert_allclose(drawn["mass_2"], 20 * (1 + drawn["redshift"]), rtol=1e-6)


@pytest.mark.parametrize("frame", list(MassFrame))
def test_chirp_distances_refer_to_the_chirp_mass_in_the_detector(frame: MassFrame) -> None:
    cfg = PopulationConfig(
        distance_kind=DistanceKind.chirp, distance=uniform(130.0, 350.0), mass_frame=frame
    )
    drawn = draw(jax.random.key(7), cfg, 50)
    plain = draw(jax.random.key(7), replace(cfg, distance_kind=DistanceKind.luminosity), 50)
    chirp = chirp_mass(drawn["mass_1"], drawn["mass_2"])
    expected = plain["distance"] * (chirp / REFERENCE_CHIRP_MASS) ** (5 / 6)
    np.testing.assert_allclose(drawn["distance"], expected, rtol=1e-5)
    np.testing.assert_allclose(drawn["redshift"], redshift_at(expected), rtol=1e-4)


@pytest.mark.parametrize("row", GOLDEN["binaries"][:5])
def test_spins_and_chirp_distance_are_those_of_pycbc(row: dict[str, float]) -> None:
    angles = {f"{k}_{b}": fixed(row[f"{k}_{b}"]) for k in ("spin", "tilt", "azimuth") for b in "12"}
    cfg = PopulationConfig(
        mass_1=fixed(row["mass_1"]),
        mass_2=fixed(row["mass_2"]),
        spin_kind=SpinKind.precessing,
        distance_kind=DistanceKind.chirp,
        distance=fixed(row["chirp_distance"]),
        **angles,
    )
    drawn = draw(jax.random.key(0), cfg, 1)
    found = {name: float(values[0]) for name, values in (drawn | describe(drawn)).items()}
    for name in ("distance", "chirp_mass", "chi_eff", "chi_p", *KEYS[:8]):
        assert found[name] == pytest.approx(row[name], rel=1e-5, abs=1e-6), name


@pytest.mark.skipif(not INJECTIONS.is_file(), reason=f"no file {INJECTIONS}")
def test_the_challenges_injections_look_drawn_from_our_population() -> None:
    """Eleven injections of data set 1, which refuse what is far off: KS against ours."""
    with h5py.File(INJECTIONS) as file:
        table = {name: file[name][()] for name in file}
    cfg = load(["population=mlgwsc1_ds1"]).data.signals.population
    drawn = draw(jax.random.key(8), cfg, 20_000)
    masses = np.sort([table["mass1"], table["mass2"]], axis=0)
    chirp = chirp_mass(drawn["mass_1"], drawn["mass_2"])
    pairs = {
        "mass_1": (masses[1], drawn["mass_1"]),
        "mass_2": (masses[0], drawn["mass_2"]),
        "distance": (table["distance"], drawn["distance"]),
        "chirp distance": (
            table["chirp_distance"],
            drawn["distance"] * (REFERENCE_CHIRP_MASS / chirp) ** (5 / 6),
        ),
        "declination": (table["dec"], drawn["declination"]),
        "inclination": (table["inclination"], drawn["inclination"]),
    }
    for name, (theirs, ours) in pairs.items():
        assert stats.kstest(theirs, ours).pvalue > 0.01, name
    ratio = (table["mchirp"] / REFERENCE_CHIRP_MASS) ** (5 / 6)
    np.testing.assert_allclose(table["distance"], table["chirp_distance"] * ratio, rtol=1e-6)


SETTINGS = st.builds(
    PopulationConfig,
    mass_kind=st.sampled_from(MassKind),
    mass_frame=st.sampled_from(MassFrame),
    mass_1=st.builds(uniform, st.floats(5, 20), st.floats(20, 80)),
    mass_2=st.builds(uniform, st.floats(5, 20), st.floats(20, 80)),
    smallest_mass_2=st.floats(0, 5),
    spin_kind=st.sampled_from(SpinKind),
    distance_kind=st.sampled_from(DistanceKind),
    distance=st.just(uniform(130.0, 350.0)),
)


@settings(max_examples=25, deadline=None)
@given(SETTINGS, st.integers(0, 1000))
def test_every_source_is_physical(cfg: PopulationConfig, seed: int) -> None:
    drawn = draw(jax.random.key(seed), cfg, 64)
    assert all(np.all(np.isfinite(values)) for values in drawn.values())
    assert np.all(drawn["mass_1"] >= drawn["mass_2"])
    lightest = min(cfg.mass_2.low, cfg.mass_1.low)
    if cfg.mass_kind is MassKind.ratio:
        lightest = max(cfg.mass_ratio.low * cfg.mass_1.low, cfg.smallest_mass_2)
    assert np.all(drawn["mass_2"] >= lightest * (1 - 1e-6))
    for body in (1, 2):
        spin = np.linalg.norm([drawn[f"spin_{body}{axis}"] for axis in "xyz"], axis=0)
        assert spin.max() <= 1
    assert np.all(drawn["redshift"] > 0)


def test_what_a_report_shows_is_short_and_bounded() -> None:
    drawn = draw(jax.random.key(9), PopulationConfig(spin_kind=SpinKind.precessing), 5000)
    shown = describe(drawn | {"network_snr": np.ones(5000)})
    names = "mass_1 mass_2 chirp_mass mass_ratio chi_eff chi_p distance redshift network_snr"
    assert list(shown) == names.split()
    assert all(v.shape == (4096,) and v.dtype == np.float32 for v in shown.values())
    assert shown["mass_ratio"].max() <= 1
    assert np.abs(shown["chi_eff"]).max() < 0.99
    assert 0 < shown["chi_p"].min() <= shown["chi_p"].max() < 0.99
    assert "network_snr" not in describe(drawn)


def test_bursts_are_shown_by_frequency_and_quality() -> None:
    drawn = draw(jax.random.key(9), PopulationConfig(), 8) | {"network_snr": np.ones(8)}
    shown = describe(drawn, Approximant.SineGaussian)
    assert list(shown) == ["frequency_hz", "quality", "distance", "network_snr"]
    assert list(describe(drawn, Approximant.IMRPhenomD)) == list(describe(drawn))
