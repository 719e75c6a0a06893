"""Polarizations of binary black holes by IMRPhenomD, in float64.

The amplitude and the phase vary slowly, so ripple evaluates them on a few hundred
frequencies in geometric progression and they are interpolated: a fifth of the cost.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

Parameters = Mapping[str, Float[Array, "n"] | Float[np.ndarray, "n"]]

SOLAR_MASS_SECONDS = 4.925490947641267e-6  # s, G M_sun / c^3 of the IAU nominal value
CUTOFF = 0.2  # M f at which IMRPhenomD ends, Khan et al. 2016, section VII
DISTANCE_MPC = 1000.0
COARSE_POINTS = 512
NEEDED = ("mass_1", "mass_2", "spin_1z", "spin_2z", "inclination", "phase")
# ripple cuts the phase at a whole number of the grid's first step below the end: a small
# first step keeps what is lost below it.
FIRST_STEP_HZ = 1e-3


def polarizations(
    parameters: Parameters,
    frequencies: Float[np.ndarray, "frequency"] | Float[Array, "frequency"],
    reference_hz: float,
    *,
    lowest_hz: float = 10.0,
) -> tuple[Complex[Array, "n frequency"], Complex[Array, "n frequency"]]:
    """Return plus and cross polarizations of sources at a luminosity distance of 1 Gpc.

    The Fourier transform is the integral of h(t) exp(-2 pi i f t) dt; t = 0
    is the model's time of coalescence, within 50 G M / c^3 of the envelope's peak.

    Args:
        parameters: mass_1 >= mass_2 in solar masses (detector frame), spin_1z, spin_2z,
            inclination and phase in rad; others are ignored.
        frequencies: In Hz, in any order; 0 is allowed.
        reference_hz: Where `phase` is the orbital phase, in Hz.
        lowest_hz: Below it the polarizations are 0, in Hz.

    Returns:
        h_plus and h_cross in strain/Hz, complex128.

    Reference: Khan et al. 2016, PRD 93, 044007, through ripple (Edwards et al. 2024).
    """
    approximant(reference_hz)  # imported here, outside the 64-bit scope
    with jax.enable_x64(True):
        sources = {name: jnp.asarray(parameters[name], jnp.float64) for name in NEEDED}
        f = jnp.asarray(frequencies, jnp.float64)
        return _polarizations(sources, f, reference_hz, lowest_hz)


@partial(jax.jit, static_argnums=(2, 3))
def _polarizations(
    sources: Parameters, f: Float[Array, "frequency"], reference_hz: float, lowest_hz: float
) -> tuple[Complex[Array, "n frequency"], Complex[Array, "n frequency"]]:
    amplitude, phase = amplitude_and_phase(sources, f, reference_hz, lowest_hz)
    h = amplitude * (jnp.cos(phase) + 1j * jnp.sin(phase))
    cos_inclination = jnp.cos(sources["inclination"])[:, None]
    return 0.5 * (1 + cos_inclination**2) * h, -1j * cos_inclination * h


def amplitude_and_phase(
    parameters: Parameters,
    frequencies: Float[Array, "frequency"],
    reference_hz: float,
    lowest_hz: float,
) -> tuple[Float[Array, "n frequency"], Float[Array, "n frequency"]]:
    """Return amplitude (strain/Hz at 1 Gpc, face on) and phase (rad) of the (2,2) mode.

    To be traced where 64-bit numbers are on, after `approximant` was called once.
    """

    def of_one(one: dict[str, Float[Array, ""]]) -> tuple[Array, Array]:
        highest = _highest_frequency(one, jnp.max(frequencies), lowest_hz)
        coarse = lowest_hz * (highest / lowest_hz) ** jnp.linspace(0, 1, COARSE_POINTS)
        values = jnp.stack(_evaluate(approximant(reference_hz), coarse, one))
        inside = (frequencies >= lowest_hz) & (frequencies <= highest)
        position = jnp.log(jnp.where(inside, frequencies, lowest_hz) / lowest_hz)
        position *= (COARSE_POINTS - 1) / jnp.log(highest / lowest_hz)
        amplitude, phase = cubic_interpolation(values, position)
        return jnp.where(inside, amplitude, 0.0), phase

    return jax.vmap(of_one)({name: jnp.asarray(parameters[name]) for name in NEEDED})


def cubic_interpolation(
    values: Float[Array, "row node"], position: Float[Array, "point"]
) -> Float[Array, "row point"]:
    """Interpolate rows given at nodes 0, 1, 2, ... by cubics through the four nearest nodes."""
    first = jnp.clip(jnp.floor(position).astype(jnp.int32) - 1, 0, values.shape[1] - 4)
    t = position - first
    weights = (
        -(t - 1) * (t - 2) * (t - 3) / 6,
        t * (t - 2) * (t - 3) / 2,
        -t * (t - 1) * (t - 3) / 2,
        t * (t - 1) * (t - 2) / 6,
    )
    return sum((w * values[:, first + k] for k, w in enumerate(weights)), jnp.zeros(()))


@cache
def approximant(reference_hz: float) -> Any:
    """Return ripple's IMRPhenomD, leaving the process's 64-bit flag as it was.

    Importing ripple sets `jax_enable_x64` for the whole process. The import runs on a
    thread of its own, which sees the process's flag and no scope of the caller's.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_import_approximant, reference_hz).result()


def _import_approximant(reference_hz: float) -> Any:
    before = jax.config.read("jax_enable_x64")
    try:
        import ripplegw

        return ripplegw.waveform("IMRPhenomD", f_ref=reference_hz)
    finally:
        jax.config.update("jax_enable_x64", before)


def _highest_frequency(
    one: Mapping[str, Float[Array, ""]], highest_hz: Float[Array, ""], lowest_hz: float
) -> Float[Array, ""]:
    """Return where the waveform or the grid ends, whichever is lower, in Hz."""
    cutoff = CUTOFF / ((one["mass_1"] + one["mass_2"]) * SOLAR_MASS_SECONDS) - 2 * FIRST_STEP_HZ
    return jnp.maximum(jnp.minimum(cutoff, highest_hz), 1.01 * lowest_hz)


def _evaluate(
    model: Any, coarse: Float[Array, "node"], one: Mapping[str, Float[Array, ""]]
) -> tuple[Float[Array, "node"], Float[Array, "node"]]:
    total = one["mass_1"] + one["mass_2"]
    # Rounding may take the symmetric mass ratio of equal masses above its largest value.
    eta = jnp.minimum(one["mass_1"] * one["mass_2"] / total**2, 0.25)
    ripple_names = {
        "M_c": total * eta**0.6,
        "eta": eta,
        "s1_z": one["spin_1z"],
        "s2_z": one["spin_2z"],
        "d_L": DISTANCE_MPC,
        "phase_c": one["phase"],
        "iota": 0.0,
    }
    stepped = jnp.concatenate([coarse[:1], coarse[:1] + FIRST_STEP_HZ, coarse[1:]])
    phase = model.phase(stepped, ripple_names)
    return model.amplitude(coarse, ripple_names), jnp.concatenate([phase[:1], phase[2:]])
