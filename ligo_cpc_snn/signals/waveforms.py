"""Polarizations of every approximant, in float64.

Amplitudes and phases vary slowly, so ripple evaluates them on a few hundred
frequencies in geometric progression and they are interpolated: a fifth of the cost.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.config.durations import SOLAR_MASS_SECONDS
from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.aligned import Parameters, amplitude_and_phase
from ligo_cpc_snn.signals.approximants import (
    DISTANCE_MPC,
    MASSES,
    MODELS,
    ripple_model,
)
from ligo_cpc_snn.signals.bursts import sine_gaussian
from ligo_cpc_snn.signals.double_precision import double_precision
from ligo_cpc_snn.signals.higher_modes import XPHM_MODES
from ligo_cpc_snn.signals.precessing import precessing_polarizations

__all__ = ["DISTANCE_MPC", "SOLAR_MASS_SECONDS", "Parameters", "polarizations", "prepare"]

Frequencies = Float[np.ndarray, "frequency"] | Float[Array, "frequency"]


def polarizations(
    approximant: Approximant,
    parameters: Parameters,
    frequencies: Frequencies,
    reference_hz: float,
    *,
    lowest_hz: float = 10.0,
    modes: Sequence[str] = (),
) -> tuple[Complex[Array, "n frequency"], Complex[Array, "n frequency"]]:
    """Return plus and cross polarizations of sources at a luminosity distance of 1 Gpc.

    The Fourier transform is the integral of h(t) exp(-2 pi i f t) dt; t = 0
    is the model's time of coalescence, within 50 G M / c^3 of the envelope's peak (TaylorF2:
    where its series diverges). A burst is centred on t = 0.

    Args:
        approximant: The model.
        parameters: mass_1 >= mass_2 in solar masses (detector frame), inclination, phase in
            rad, and what else the model reads (`MODELS`): spin_1x ... spin_2z, lambda_1,
            lambda_2; of bursts frequency_hz and quality. Missing ones are 0, others ignored.
        frequencies: In Hz, in any order; 0 is allowed.
        reference_hz: Where `phase` is the orbital phase, and spins are given, in Hz.
        lowest_hz: Below it the polarizations are 0, in Hz; a burst has no such bound.
        modes: Of IMRPhenomXPHM, as "22"; none: all that it has.

    Returns:
        h_plus and h_cross in strain/Hz, complex128; 0 above the model's end.

    Raises:
        ValueError: Modes that the model has not, or masses in the wrong order.

    Reference: ripple (Edwards et al. 2024), compared with LAL in golden/make_lal_waveforms.py.
    """
    prepared = prepare(approximant, parameters, reference_hz, modes)
    with double_precision():
        sources = {name: jnp.asarray(values, jnp.float64) for name, values in prepared.items()}
        f = jnp.asarray(frequencies, jnp.float64)
        arguments = (reference_hz, lowest_hz, approximant, tuple(sorted(set(modes))))
        return _polarizations(sources, f, *arguments)


def prepare(
    approximant: Approximant, parameters: Parameters, reference_hz: float, modes: Sequence[str]
) -> dict[str, Float[np.ndarray, "n"]]:
    """Return the parameters that the model reads, 0 where missing; import ripple's models.

    Raises:
        ValueError: Modes that the model has not, or masses in the wrong order.
    """
    _check_modes(approximant, modes)
    if approximant is not Approximant.SineGaussian:
        # Their import sets and restores the 64-bit flag: not inside a trace.
        ripple_model(approximant, reference_hz)
        ripple_model(Approximant.IMRPhenomXAS, reference_hz)
        ripple_model(Approximant.IMRPhenomXP, reference_hz)
        _check_masses(parameters)
    n = len(next(iter(parameters.values())))
    names = MODELS[approximant].parameters
    return {name: np.asarray(parameters.get(name, np.zeros(n))) for name in names}


def traced_polarizations(
    sources: Parameters,
    f: Float[Array, "frequency"],
    reference_hz: float,
    lowest_hz: float,
    approximant: Approximant,
    modes: tuple[str, ...],
) -> tuple[Complex[Array, "n frequency"], Complex[Array, "n frequency"]]:
    """Return the polarizations; to be traced with 64-bit numbers, of `prepare`d parameters."""
    if approximant is Approximant.SineGaussian:
        return sine_gaussian(sources, f)
    if not MODELS[approximant].aligned:
        return precessing_polarizations(approximant, modes, sources, f, reference_hz, lowest_hz)
    amplitude, phase = amplitude_and_phase(approximant, sources, f, reference_hz, lowest_hz)
    h = jax.lax.complex(amplitude * jnp.cos(phase), amplitude * jnp.sin(phase))
    cos_inclination = jnp.cos(sources["inclination"])[:, None]
    return 0.5 * (1 + cos_inclination**2) * h, -1j * cos_inclination * h


_polarizations = partial(jax.jit, static_argnums=(2, 3, 4, 5))(traced_polarizations)


def _check_modes(approximant: Approximant, modes: Sequence[str]) -> None:
    has = XPHM_MODES if approximant is Approximant.IMRPhenomXPHM else ("22",)
    unknown = [mode for mode in modes if mode not in has]
    if unknown:
        raise ValueError(f"{approximant.value} has no mode {unknown[0]!r}: it has {', '.join(has)}")


def _check_masses(parameters: Parameters) -> None:
    heavy, light = (np.asarray(parameters[name]) for name in MASSES)
    wrong = np.flatnonzero(light > heavy)
    if wrong.size:
        i = wrong[0]
        raise ValueError(
            f"source {i} has mass_1={heavy[i]:g} and mass_2={light[i]:g}: expected mass_1 >= "
            "mass_2, swap the two with their spins"
        )
