"""How long signals last."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny

from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    Distribution,
    MassFrame,
    MassKind,
    PopulationConfig,
    PriorConfig,
    SignalsConfig,
    SpinKind,
)
from ligo_cpc_snn.signals.duration import (
    check_duration,
    chirp_time,
    longest_burst,
    longest_chirp_time,
)
from ligo_cpc_snn.signals.population import draw


def uniform(low: float, high: float) -> PriorConfig:
    return PriorConfig(Distribution.uniform, low, high)


def test_chirp_times_are_those_of_the_literature() -> None:
    # Sathyaprakash and Schutz 2009, section 3.4.1: 1.4 + 1.4 solar masses at Newtonian order.
    newtonian = 5 / 256 * 1.0 / (2.8 * 4.925490947e-6) ** (5 / 3) / 0.25
    newtonian *= (3.141592653589793 * 40) ** (-8 / 3)
    assert chirp_time(1.4, 1.4, 0.0, 0.0, 40.0) == pytest.approx(newtonian, rel=0.03)
    assert newtonian == pytest.approx(24.9, abs=0.3)


def test_lighter_and_faster_spinning_systems_last_longer() -> None:
    reference = chirp_time(20.0, 10.0, 0.0, 0.0, 20.0)
    assert chirp_time(20.0, 9.0, 0.0, 0.0, 20.0) > reference
    assert chirp_time(20.0, 10.0, 0.9, 0.0, 20.0) > reference
    assert chirp_time(20.0, 10.0, 0.0, -0.9, 20.0) < reference
    assert chirp_time(20.0, 10.0, 0.0, 0.0, 30.0) < reference


def test_the_longest_signal_of_a_population_is_its_lightest() -> None:
    population = PopulationConfig(
        mass_2=PriorConfig(Distribution.fixed, 7.0), spin_1z=PriorConfig(Distribution.fixed, 0.2)
    )
    expected = chirp_time(10.0, 7.0, 0.2, 0.9, 20.0)
    assert longest_chirp_time(population, 20.0) == expected


def test_a_mass_ratio_and_tilted_spins_have_a_longest_signal_too() -> None:
    population = PopulationConfig(mass_kind=MassKind.ratio, mass_ratio=uniform(0.25, 1.0))
    assert longest_chirp_time(population, 20.0) == chirp_time(10.0, 2.5, 0.9, 0.9, 20.0)
    heavier = replace(population, smallest_mass_2=4.0, spin_kind=SpinKind.precessing)
    assert longest_chirp_time(heavier, 20.0) == chirp_time(10.0, 4.0, 0.99, 0.99, 20.0)


SETTINGS = st.builds(
    PopulationConfig,
    mass_kind=st.sampled_from(MassKind),
    mass_frame=st.sampled_from(MassFrame),
    mass_1=st.builds(uniform, st.floats(5, 20), st.floats(20, 50)),
    mass_2=st.builds(uniform, st.floats(5, 20), st.floats(20, 50)),
    smallest_mass_2=st.floats(0, 5),
    spin_kind=st.sampled_from(SpinKind),
    spin_1z=st.builds(uniform, st.floats(-1, 0), st.floats(0, 1)),
)


@settings(max_examples=25, deadline=None)
@given(SETTINGS, st.integers(0, 1000))
def test_no_source_lasts_longer_than_the_longest(cfg: PopulationConfig, seed: int) -> None:
    drawn = draw(jax.random.key(seed), cfg, 64)
    names = ("mass_1", "mass_2", "spin_1z", "spin_2z")
    times = [chirp_time(*map(float, row), 20.0) for row in np.stack([drawn[n] for n in names]).T]
    assert max(times) <= longest_chirp_time(cfg, 20.0) * (1 + 1e-6)


def test_a_burst_has_decayed_at_both_ends_of_its_time() -> None:
    population = PopulationConfig(quality=uniform(3.0, 50.0), frequency_hz=uniform(60.0, 500.0))
    half = longest_burst(population) / 2
    decay_time = 50.0 / (np.sqrt(2) * np.pi * 60.0)  # of the amplitude exp(-t^2 / decay_time^2)
    assert np.exp(-((half / decay_time) ** 2)) == pytest.approx(np.exp(-8))


def test_the_default_population_fits_the_default_duration() -> None:
    check_duration(SignalsConfig(), 20.0, 2.0)


def test_the_config_check_finds_what_the_run_would() -> None:
    """To the last tap: the filter is one sample longer than `filter_seconds`."""
    cfg = tiny()
    data, population = cfg.data, cfg.data.signals.population
    exact = longest_chirp_time(population, data.band_hz[0]) + data.filter_seconds / 2
    with pytest.raises(ConfigError, match="the longest signal"):
        tiny(f"data.signals.duration_seconds={exact + 1e-4}")
    tiny(f"data.signals.duration_seconds={exact + 2e-3}")


def test_a_signal_that_does_not_fit_is_an_error_with_its_chirp_time() -> None:
    with pytest.raises(ValueError, match=r"duration_seconds=4: .* chirp time of 6\.\d\d s from 20"):
        check_duration(SignalsConfig(duration_seconds=4.0), 20.0, 2.0)


def test_a_burst_that_does_not_fit_is_an_error_with_its_length() -> None:
    bursts = SignalsConfig(approximant=Approximant.SineGaussian, duration_seconds=4.0)
    message = r"duration_seconds=4: .* lasts 3\.18 s and needs 4\.18 s .* set it to 5, or raise"
    with pytest.raises(ValueError, match=message):
        check_duration(bursts, 20.0, 2.0)
