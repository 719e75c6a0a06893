"""Priors: against PyCBC and Astropy by golden values, and laws of their quantile functions."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.config.signals_schema import Distribution, PriorConfig
from ligo_cpc_snn.signals.cosmology import comoving_volume_quantile, redshift_at
from ligo_cpc_snn.signals.masses import chirp_mass, companion_mass
from ligo_cpc_snn.signals.priors import power_law_quantile, quantile, smooth_rise

GOLDEN = json.loads((Path(__file__).parent / "golden" / "population.json").read_text())
FRACTIONS = np.array(GOLDEN["quantiles"]["fractions"])
MANY = np.linspace(0, 1, 200_001)[1:-1]

PRIORS = {
    "volume": PriorConfig(Distribution.power_law, 130.0, 350.0, index=2.0),
    "fourth_power": PriorConfig(Distribution.power_law, 20.0, 300.0, index=4.0),
    "log": PriorConfig(Distribution.log_uniform, 3.0, 100.0),
    "sine": PriorConfig(Distribution.sine, 0.2, 2.9),
    "cosine": PriorConfig(Distribution.cosine, -1.2, 1.0),
}


def below(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of values below each threshold, of quantiles at evenly spaced fractions."""
    return np.searchsorted(np.sort(values), thresholds) / values.size


@pytest.mark.parametrize("name", PRIORS)
def test_quantiles_are_those_of_pycbc(name: str) -> None:
    expected = np.array(GOLDEN["quantiles"][name])
    np.testing.assert_allclose(quantile(PRIORS[name], FRACTIONS), expected, rtol=1e-10)


@pytest.mark.parametrize("row", GOLDEN["power_law_peak"])
def test_power_law_and_peak(row: dict) -> None:
    prior = PriorConfig(
        Distribution.power_law_peak,
        row["mmin"],
        row["mmax"],
        index=-row["alpha"],
        peak_fraction=row["share"],
        peak=row["mu"],
        peak_width=row["sigma"],
        smoothing=row["delta"],
    )
    shares = below(quantile(prior, MANY), np.array(row["masses"]))
    np.testing.assert_allclose(shares, row["below"], atol=2e-5)


def test_companions_of_a_mass_follow_the_smoothed_power_law() -> None:
    golden = GOLDEN["mass_ratio"]
    prior = PriorConfig(
        Distribution.power_law, 0.01, 1.0, index=golden["beta"], smoothing=golden["delta"]
    )
    for row in golden["rows"]:
        mass_1 = np.full(MANY.size, row["mass_1"])
        ratios = companion_mass(prior, golden["mmin"], mass_1, MANY) / mass_1
        shares = below(ratios, np.array(row["ratios"]))
        # Near the lowest mass the density is nearly 0 over most of the range.
        np.testing.assert_allclose(shares, row["below"], atol=2e-4, err_msg=str(row["mass_1"]))


def test_redshifts_are_those_of_astropy() -> None:
    golden = GOLDEN["cosmology"]
    found = redshift_at(np.array(golden["distances"]))
    np.testing.assert_allclose(found, golden["redshifts"], rtol=2e-6)


@pytest.mark.parametrize("row", GOLDEN["cosmology"]["laws"])
def test_sources_are_uniform_in_comoving_volume_and_source_time(row: dict) -> None:
    golden = GOLDEN["cosmology"]
    prior = PriorConfig(
        Distribution.comoving_volume, golden["low"], golden["high"], index=row["index"]
    )
    shares = below(quantile(prior, MANY), np.array(row["distances"]))
    np.testing.assert_allclose(shares, row["below"], atol=2e-5)


def test_a_distance_that_grows_with_its_own_redshift_is_solved_for() -> None:
    distance = np.geomspace(1.0, 2e4, 50)
    redshift = redshift_at(distance, 5 / 6)
    consistent = redshift_at(distance * (1 + redshift) ** (5 / 6))
    np.testing.assert_allclose(redshift, consistent, rtol=1e-5)


def test_nearby_the_volume_is_euclidean() -> None:
    near = comoving_volume_quantile(1.0, 2.0, 0.0, FRACTIONS)
    np.testing.assert_allclose(near, power_law_quantile(1.0, 2.0, 2.0, FRACTIONS), rtol=1e-3)


def test_a_source_beyond_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"2e\+06 Mpc: expected at most 1\.\d+e\+06 Mpc"):
        redshift_at(np.array([2e6]))


priors = st.builds(
    lambda kind, low, width, index, share, smoothing: PriorConfig(
        kind,
        low,
        low * (1 + width),
        index=index,
        peak_fraction=share,
        peak=low * (1 + width / 2),
        smoothing=low * width * smoothing,
    ),
    st.sampled_from(
        [
            Distribution.uniform,
            Distribution.log_uniform,
            Distribution.power_law,
            Distribution.power_law_peak,
            Distribution.comoving_volume,
        ]
    ),
    st.floats(0.1, 100),
    st.floats(0.01, 50),
    st.floats(-6, 6),
    st.floats(0, 1),
    st.floats(0, 0.99),
)


@settings(max_examples=60, deadline=None)
@given(priors)
def test_quantiles_rise_from_bound_to_bound(prior: PriorConfig) -> None:
    values = quantile(prior, np.linspace(1e-7, 1 - 1e-7, 101))
    assert np.all(np.diff(values) >= 0)
    assert values[0] >= prior.low
    assert values[-1] <= prior.high
    assert values[-1] > values[0]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([-2.5, -1.0, -1.0 + 1e-12, 0.0, 2.0, 300.0, -300.0]),
    st.floats(1e-3, 1e3),
    st.floats(1.0, 1e4),
)
def test_power_laws_of_any_index_are_finite_and_bounded(
    index: float, low: float, ratio: float
) -> None:
    values = power_law_quantile(low, low * ratio, index, np.array([2**-24, 0.5, 1 - 2**-24]))
    assert np.all(values >= low * (1 - 1e-9))
    assert np.all(values <= low * ratio * (1 + 1e-9))


def test_the_index_of_a_power_law_near_minus_one_is_continuous() -> None:
    exact, near = (power_law_quantile(2.0, 50.0, index, FRACTIONS) for index in (-1.0, -1 + 1e-9))
    np.testing.assert_allclose(near, exact, rtol=1e-8)


def test_the_window_rises_from_0_to_1() -> None:
    values = np.array([4.9, 5.0, 5.0 + 1e-9, 7.5, 9.99, 10.0, 50.0])
    window = smooth_rise(values, 5.0, 5.0)
    np.testing.assert_allclose(window, [0, 0, 0, 0.5, 1, 1, 1], atol=1e-9)
    np.testing.assert_array_equal(smooth_rise(values, 5.0, 0.0), values >= 5.0)


@pytest.mark.parametrize(
    "kind", [Distribution.fixed, Distribution.uniform, Distribution.log_uniform]
)
def test_companions_are_within_their_bounds(kind: Distribution) -> None:
    prior = PriorConfig(kind, 0.3 if kind is not Distribution.fixed else 0.9, 0.8)
    mass_1 = np.linspace(8.0, 60.0, 999)
    mass_2 = companion_mass(prior, 5.0, mass_1, np.linspace(0.001, 0.999, 999))
    assert np.all(mass_2 >= 5.0)
    low, high = prior.bounds
    ratio = mass_2 / mass_1
    assert np.all(ratio <= high * (1 + 1e-12))
    assert np.all(ratio >= low * (1 - 1e-12))


def test_chirp_mass_of_equal_masses() -> None:
    assert chirp_mass(np.array([1.4]), np.array([1.4])) == pytest.approx(1.4 * 2**-0.2)
