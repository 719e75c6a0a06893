"""Draw source parameters from the configured population."""

import zlib
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    DistanceKind,
    MassFrame,
    MassKind,
    PopulationConfig,
    SpinKind,
)
from ligo_cpc_snn.signals.cosmology import redshift_at
from ligo_cpc_snn.signals.masses import chirp_mass, companion_mass
from ligo_cpc_snn.signals.priors import quantile
from ligo_cpc_snn.signals.spins import chi_eff, chi_p, components

REFERENCE_CHIRP_MASS = 1.4 * 2**-0.2  # solar masses, of chirp distances
# No other parameter enters these.
SINGLE = (
    "lambda_1",
    "lambda_2",
    "right_ascension",
    "declination",
    "inclination",
    "polarization",
    "phase",
    "frequency_hz",
    "quality",
)
OF_A_BODY = ("mass_{}", "spin_{}x", "spin_{}y", "spin_{}z", "lambda_{}")
SHOWN = 4096

Values = Float[np.ndarray, "n"]


def draw(
    key: Key[Array, ""], population_cfg: PopulationConfig, n: int
) -> dict[str, Float[np.ndarray, "n"]]:
    """Draw `n` sources; the heavier body is number 1, spins and deformabilities move with it.

    A parameter's random numbers depend on its name and the key, not on the other parameters.

    Args:
        key: Random key.
        population_cfg: One prior per parameter.
        n: Number of sources.

    Returns:
        Arrays of shape (n,), float32: mass_1 >= mass_2 (detector frame, solar masses),
        spin_1x ... spin_2z, lambda_1, lambda_2, distance (luminosity, Mpc), redshift,
        right_ascension, declination, inclination, polarization, phase (rad), and of
        sine-Gaussians frequency_hz and quality. All are always there.

    Raises:
        ValueError: A source is farther than redshift 100.
    """

    def fraction(name: str) -> Values:
        named = jax.random.fold_in(key, zlib.crc32(name.encode()))
        # float32 on purpose: the same numbers whether or not 64-bit ones are switched on.
        uniform = jax.device_get(jax.random.uniform(named, (n,), np.float32))
        return uniform.astype(np.float64) + 2**-24  # half of its step: above 0, below 1

    def value(name: str) -> Values:
        return quantile(getattr(population_cfg, name), fraction(name))

    drawn = {name: value(name) for name in SINGLE} | _spins(population_cfg, value)
    drawn["mass_1"] = value("mass_1")
    if population_cfg.mass_kind is MassKind.ratio:
        drawn["mass_2"] = companion_mass(
            population_cfg.mass_ratio,
            population_cfg.smallest_mass_2,
            drawn["mass_1"],
            fraction("mass_ratio"),
        )
    else:
        drawn["mass_2"] = value("mass_2")
    placed = _place(population_cfg, _heavier_first(drawn), value("distance"))
    return {name: values.astype(np.float32) for name, values in placed.items()}


def _spins(cfg: PopulationConfig, value: Callable[[str], Values]) -> dict[str, Values]:
    spins: dict[str, Values] = {}
    for body in (1, 2):
        if cfg.spin_kind is SpinKind.precessing:
            names = (f"spin_{body}", f"tilt_{body}", f"azimuth_{body}")
            x, y, z = components(*map(value, names))
        else:
            z = value(f"spin_{body}z")
            x = y = np.zeros_like(z)
        spins |= {f"spin_{body}x": x, f"spin_{body}y": y, f"spin_{body}z": z}
    return spins


def _heavier_first(drawn: dict[str, Values]) -> dict[str, Values]:
    swap = drawn["mass_2"] > drawn["mass_1"]
    pairs = {name.format(1): name.format(2) for name in OF_A_BODY}
    other = pairs | {second: first for first, second in pairs.items()}
    return {
        name: np.where(swap, drawn[other[name]], values) if name in other else values
        for name, values in drawn.items()
    }


def _place(cfg: PopulationConfig, drawn: dict[str, Values], distance: Values) -> dict[str, Values]:
    """Add luminosity distances and redshifts; bring masses to the detector's frame."""
    of_source = cfg.mass_frame is MassFrame.source
    stretch_power = 0.0
    if cfg.distance_kind is DistanceKind.chirp:
        chirp = chirp_mass(drawn["mass_1"], drawn["mass_2"])
        distance = distance * (chirp / REFERENCE_CHIRP_MASS) ** (5 / 6)
        # The chirp mass is the detector's: of a source's mass a power of 1 + z is missing.
        stretch_power = 5 / 6 if of_source else 0.0
    redshift = redshift_at(distance, stretch_power)
    placed = {"distance": distance * (1 + redshift) ** stretch_power, "redshift": redshift}
    if of_source:
        placed |= {name: drawn[name] * (1 + redshift) for name in ("mass_1", "mass_2")}
    return drawn | placed


def describe(
    drawn: Mapping[str, Float[np.ndarray, "n"] | Float[Array, "n"]],
    approximant: Approximant | None = None,
) -> dict[str, Float[np.ndarray, "m"]]:
    """Return what a report shows of sources: masses, effective spins, distances.

    Args:
        drawn: Sources of `draw`, perhaps with their `network_snr`.
        approximant: Their model; sine-Gaussians have frequencies and qualities instead.

    Returns:
        At most the first 4096 sources, float32: mass_1, mass_2, chirp_mass (detector frame,
        solar masses), mass_ratio (at most 1), chi_eff, chi_p, distance (Mpc), redshift, and
        network_snr where it is given; of bursts frequency_hz and quality in place of masses,
        spins and redshift.
    """
    few = {name: np.asarray(values[:SHOWN], np.float64) for name, values in drawn.items()}
    if approximant is Approximant.SineGaussian:
        names: tuple[str, ...] = ("frequency_hz", "quality", "distance", "network_snr")
        shown = {}
    else:
        names, shown = ("distance", "redshift", "network_snr"), _of_binaries(few)
    shown |= {name: few[name] for name in names if name in few}
    return {name: values.astype(np.float32) for name, values in shown.items()}


def _of_binaries(few: dict[str, Values]) -> dict[str, Values]:
    mass_1, mass_2 = few["mass_1"], few["mass_2"]
    across = (np.hypot(few[f"spin_{body}x"], few[f"spin_{body}y"]) for body in (1, 2))
    return {
        "mass_1": mass_1,
        "mass_2": mass_2,
        "chirp_mass": chirp_mass(mass_1, mass_2),
        "mass_ratio": mass_2 / mass_1,
        "chi_eff": chi_eff(mass_1, mass_2, few["spin_1z"], few["spin_2z"]),
        "chi_p": chi_p(mass_1, mass_2, *across),
    }
