"""Detectors' geometry against LAL (golden/make_lal.py)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn.strain.detectors import (
    DETECTORS,
    antenna_pattern,
    arrival_delay,
    find_detector,
    greenwich_sidereal_angle,
    light_travel_time,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "lal.json").read_text())["geometry"]


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_agrees_with_lal_through_days_and_years(name: str) -> None:
    rows = [row for row in GOLDEN if row["detector"] == name]
    assert len(rows) == 48
    columns = ("right_ascension", "declination", "polarization", "gps")
    with jax.enable_x64(True):
        ra, dec, psi, gps = (jnp.array([row[column] for row in rows]) for column in columns)
        pattern = jax.vmap(lambda *sky: antenna_pattern(name, *sky))
        plus, cross = pattern(ra, dec, psi, gps)
        delay = jax.vmap(lambda *sky: arrival_delay(name, *sky))(ra, dec, gps)
    # LAL keeps response tensors in float32.
    np.testing.assert_allclose(plus, [row["plus"] for row in rows], rtol=0, atol=1e-7)
    np.testing.assert_allclose(cross, [row["cross"] for row in rows], rtol=0, atol=1e-7)
    np.testing.assert_allclose(delay, [row["delay"] for row in rows], rtol=0, atol=1e-9)
    for row in rows:
        assert greenwich_sidereal_angle(row["gps"]) == pytest.approx(row["gmst"], abs=1e-8)


def test_float32_is_good_to_a_microsecond() -> None:
    row = GOLDEN[0]
    sky = row["right_ascension"], row["declination"]
    plus, _ = antenna_pattern(row["detector"], *sky, row["polarization"], row["gps"])
    assert float(plus) == pytest.approx(row["plus"], abs=1e-5)
    assert float(arrival_delay("H1", *sky, row["gps"])) == pytest.approx(row["delay"], abs=1e-6)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_response_is_symmetric_and_without_trace(name: str) -> None:
    response = find_detector(name).response
    np.testing.assert_allclose(response, response.T)
    assert np.trace(response) == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(find_detector(name).vertex) == pytest.approx(6.37e6, rel=2e-3)


def test_half_a_turn_of_polarization_changes_nothing_and_a_quarter_the_sign() -> None:
    args = ("L1", 1.0, 0.4)
    first = np.array(antenna_pattern(*args, 0.3, 1e9))
    np.testing.assert_allclose(first, np.array(antenna_pattern(*args, 0.3 + np.pi, 1e9)), atol=1e-5)
    turned = np.array(antenna_pattern(*args, 0.3 + np.pi / 2, 1e9))
    np.testing.assert_allclose(first, -turned, atol=1e-5)


def test_maps_over_sources_and_times() -> None:
    ra = jnp.linspace(0, 6, 5)
    mapped = jax.vmap(lambda x: antenna_pattern("V1", x, 0.2, 0.1, 1e9)[0])(ra)
    single = [antenna_pattern("V1", x, 0.2, 0.1, 1e9)[0] for x in ra]
    np.testing.assert_allclose(mapped, np.array(single), atol=1e-6)
    with jax.enable_x64(True):
        times = jnp.array([1e9, 1.2e9, 1.4e9])
        delays = jax.vmap(lambda t: arrival_delay("V1", 1.0, 0.2, t))(times)
        expected = [float(arrival_delay("V1", 1.0, 0.2, float(t))) for t in times]
    np.testing.assert_allclose(delays, expected, atol=1e-12)


def test_a_float32_time_is_refused() -> None:
    with pytest.raises(ValueError, match="float32 cannot resolve GPS times"):
        greenwich_sidereal_angle(jnp.float32(1126259462.4))


def test_light_travel_times() -> None:
    assert light_travel_time(["H1", "L1"]) == pytest.approx(0.010013, abs=1e-6)
    assert light_travel_time(["H1"]) == 0.0
    assert light_travel_time(["H1", "L1", "V1"]) == pytest.approx(0.0273, abs=1e-4)


def test_unknown_detector_lists_the_known() -> None:
    with pytest.raises(ValueError, match="unknown detector 'G7': known are H1, K1, L1, V1"):
        antenna_pattern("G7", 0.0, 0.0, 0.0, 1e9)
