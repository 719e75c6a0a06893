"""How long signals last."""

import pytest

from ligo_cpc_snn.config.signals_schema import (
    Distribution,
    PopulationConfig,
    PriorConfig,
    SignalsConfig,
)
from ligo_cpc_snn.signals.duration import check_duration, chirp_time, longest_chirp_time


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


def test_the_default_population_fits_the_default_duration() -> None:
    check_duration(SignalsConfig(), 20.0, 2.0)


def test_a_signal_that_does_not_fit_is_an_error_with_its_chirp_time() -> None:
    with pytest.raises(ValueError, match=r"duration_seconds=4: .* chirp time of 6\.\d\d s from 20"):
        check_duration(SignalsConfig(duration_seconds=4.0), 20.0, 2.0)
