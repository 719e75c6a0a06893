"""Sources drawn from the configured priors."""

import jax
import numpy as np
import pytest
from scipy import stats

from ligo_cpc_snn.config.signals_schema import Distribution, PopulationConfig, PriorConfig
from ligo_cpc_snn.signals.population import draw

N = 4000


def test_each_prior_has_its_distribution() -> None:
    cfg = PopulationConfig(
        mass_1=PriorConfig(Distribution.log_uniform, 5.0, 100.0),
        mass_2=PriorConfig(Distribution.fixed, 1.0),
    )
    drawn = {name: np.asarray(values) for name, values in draw(jax.random.key(0), cfg, N).items()}
    uniform = {
        "mass_1": np.log(drawn["mass_1"] / 5) / np.log(20),
        "spin_1z": (drawn["spin_1z"] + 0.9) / 1.8,
        "right_ascension": drawn["right_ascension"] / (2 * np.pi),
        "declination": (1 + np.sin(drawn["declination"])) / 2,
        "inclination": (1 - np.cos(drawn["inclination"])) / 2,
        "polarization": drawn["polarization"] / np.pi,
        "phase": drawn["phase"] / (2 * np.pi),
    }
    for name, values in uniform.items():
        assert stats.kstest(values, "uniform").pvalue > 1e-3, name
    assert np.all(drawn["mass_2"] == 1.0)


def test_the_heavier_is_first_and_takes_its_spin_along() -> None:
    cfg = PopulationConfig(
        mass_1=PriorConfig(Distribution.fixed, 10.0), mass_2=PriorConfig(Distribution.fixed, 20.0)
    )
    drawn = draw(jax.random.key(1), cfg, N)
    assert np.all(drawn["mass_1"] == 20.0)
    unsorted = PopulationConfig(
        mass_1=PriorConfig(Distribution.fixed, 20.0), mass_2=PriorConfig(Distribution.fixed, 10.0)
    )
    np.testing.assert_array_equal(drawn["spin_1z"], draw(jax.random.key(1), unsorted, N)["spin_2z"])


def test_a_prior_changes_no_other_parameter() -> None:
    fixed = PopulationConfig(spin_1z=PriorConfig(Distribution.fixed, 0.0))
    ours, theirs = (draw(jax.random.key(2), cfg, 10) for cfg in (fixed, PopulationConfig()))
    np.testing.assert_array_equal(ours["phase"], theirs["phase"])


def test_values_do_not_depend_on_the_64_bit_flag() -> None:
    narrow = draw(jax.random.key(3), PopulationConfig(), 100)
    with jax.enable_x64(True):
        wide = draw(jax.random.key(3), PopulationConfig(), 100)
    for name, values in narrow.items():
        assert wide[name].dtype == np.float32
        np.testing.assert_array_equal(values, wide[name])


@pytest.mark.parametrize("kind", list(Distribution))
def test_values_stay_between_the_bounds(kind: Distribution) -> None:
    cfg = PopulationConfig(inclination=PriorConfig(kind, 0.3, 1.2))
    values = np.asarray(draw(jax.random.key(4), cfg, N)["inclination"])
    assert values.min() >= np.float32(0.3)
    assert values.max() <= np.float32(1.2)
