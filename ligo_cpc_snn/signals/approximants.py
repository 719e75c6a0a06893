"""Waveform models of ripple: imported late, with our names for their parameters."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ligo_cpc_snn.config.durations import SOLAR_MASS_SECONDS
from ligo_cpc_snn.config.signals_schema import Approximant

DISTANCE_MPC = 1000.0
RIPPLE_NAMES = {
    "spin_1x": "s1_x",
    "spin_1y": "s1_y",
    "spin_1z": "s1_z",
    "spin_2x": "s2_x",
    "spin_2y": "s2_y",
    "spin_2z": "s2_z",
    "lambda_1": "lambda_1",
    "lambda_2": "lambda_2",
    "phase": "phase_c",
    "inclination": "iota",
}
MASSES = ("mass_1", "mass_2")
ALIGNED_NAMES = (*MASSES, "spin_1z", "spin_2z", "inclination", "phase")
TIDAL_NAMES = (*ALIGNED_NAMES, "lambda_1", "lambda_2")
PRECESSING_NAMES = (*ALIGNED_NAMES, "spin_1x", "spin_1y", "spin_2x", "spin_2y")
BURST_NAMES = ("frequency_hz", "quality", "inclination", "phase")


@dataclass(frozen=True)
class Model:
    """What one needs to know of a model.

    Args:
        parameters: Names it reads.
        cutoff: M f above which it is nothing.
        sign: Of h_plus relative to ripple's amplitude and phase, where it has them.
    """

    parameters: tuple[str, ...]
    cutoff: float = 0.2
    sign: int = 1

    @property
    def aligned(self) -> bool:
        """Whether it is a (2, 2) mode of aligned spins: an amplitude and a phase."""
        return self.parameters in (ALIGNED_NAMES, TIDAL_NAMES)


# Cutoffs: IMRPhenomD after Khan et al. 2016, section VII; IMRPhenomX after Pratten et al. 2020;
# TaylorF2 ends at the innermost stable circular orbit, 6^-1.5 / pi, as it does in LAL.
MODELS = {
    Approximant.IMRPhenomD: Model(ALIGNED_NAMES),
    Approximant.IMRPhenomXAS: Model(ALIGNED_NAMES, 0.3, -1),
    Approximant.IMRPhenomXP: Model(PRECESSING_NAMES, 0.3),
    Approximant.IMRPhenomXPHM: Model(PRECESSING_NAMES, 0.3),
    Approximant.TaylorF2: Model(TIDAL_NAMES, 6**-1.5 / jnp.pi),
    Approximant.IMRPhenomD_NRTidalv2: Model(TIDAL_NAMES),
    Approximant.IMRPhenomXAS_NRTidalv3: Model(TIDAL_NAMES, 0.3, -1),
    Approximant.SineGaussian: Model(BURST_NAMES),
}


@cache
def ripple_model(approximant: Approximant, reference_hz: float) -> Any:
    """Return ripple's model, leaving the process's 64-bit flag as it was.

    Importing ripple sets `jax_enable_x64` for the whole process. The import runs on a
    thread of its own, which sees the process's flag and no scope of the caller's.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_import_model, approximant.value, reference_hz).result()


def _import_model(name: str, reference_hz: float) -> Any:
    before = jax.config.read("jax_enable_x64")
    try:
        import ripplegw

        return ripplegw.waveform(name, f_ref=reference_hz)
    finally:
        jax.config.update("jax_enable_x64", before)


def ripple_parameters(one: Mapping[str, Float[Array, ""]]) -> dict[str, Any]:
    """Return one source's parameters under ripple's names, at 1 Gpc."""
    total = one["mass_1"] + one["mass_2"]
    # Rounding may take the symmetric mass ratio of equal masses above its largest value.
    eta = jnp.minimum(one["mass_1"] * one["mass_2"] / total**2, 0.25)
    named = {RIPPLE_NAMES[name]: one[name] for name in one if name in RIPPLE_NAMES}
    return named | {"M_c": total * eta**0.6, "eta": eta, "d_L": DISTANCE_MPC}


def total_mass_seconds(one: Mapping[str, Float[Array, ""]]) -> Float[Array, ""]:
    """Return G M / c^3 of the whole system in s."""
    return (one["mass_1"] + one["mass_2"]) * SOLAR_MASS_SECONDS
