"""Chosen modes of IMRPhenomXPHM, which ripple itself gives only in sum."""

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.signals.approximants import DISTANCE_MPC

XPHM_MODES = ("21", "22", "32", "33", "44")  # in the order of ripple's `twistup`


def mode_sums(
    modes: Sequence[str],
    orders: Sequence[int],
    one: dict[str, Float[Array, ""]],
    frequencies: Float[Array, "frequency"],
    reference_hz: float,
) -> Complex[Array, "order polarization frequency"]:
    """Return the polarizations' sums over the chosen modes of each order m.

    The modes of the frame that follows the orbit are turned into the observer's, as
    ripple's `generate_xphm` does with all of them.

    Args:
        modes: Of `XPHM_MODES`.
        orders: The orders m that are wanted.
        one: Parameters of one source.
        frequencies: In Hz.
        reference_hz: Where spins and phase are given, in Hz.

    Reference: Pratten et al. 2021, PRD 103, 104056, eqs. 3.5-3.7.
    """
    ripple = ripple_internals()
    masses = one["mass_1"], one["mass_2"]
    spins = tuple(one[f"spin_{body}{axis}"] for body in (1, 2) for axis in "xyz")
    geometric = frequencies * ripple.lal_M_sec(*masses)
    pairs = [(int(mode[0]), int(mode[1])) for mode in modes]
    found = ripple.modes(geometric, _final_state(masses, spins, reference_hz), 0.0, pairs)
    scale = sum(masses) ** 2 * ripple.MRSUN * ripple.MTSUN / (DISTANCE_MPC * ripple.MPC)
    nothing = jnp.zeros(frequencies.shape, jnp.complex128)
    stacked = jnp.stack(
        [
            scale * (-1) ** int(mode[0]) * found.get((int(mode[0]), int(mode[1])), nothing)
            for mode in XPHM_MODES
        ]
    )

    def of_order(order: Array) -> Array:
        of_mode = jnp.array([int(mode[1]) for mode in XPHM_MODES])
        kept = jnp.where((of_mode == order)[:, None], stacked, 0)
        arguments = (*masses, *spins, one["phase"], one["inclination"], reference_hz, kept)
        return jnp.stack(ripple.twistup(geometric, *arguments))

    return jax.vmap(of_order)(jnp.array(orders))


def _final_state(masses: Sequence[Array], spins: Sequence[Array], reference_hz: float) -> object:
    """Return ripple's coefficients of the (2, 2) mode, with the precessing final spin."""
    ripple = ripple_internals()
    names = ("mass_1", "mass_2", "chi1x", "chi1y", "chi1z", "chi2x", "chi2y", "chi2z")
    named = dict(zip(names, (*masses, *spins), strict=True))
    averages = ripple.initialize(**named, reference_frequency=reference_hz)
    return ripple.build_pWF22(
        *masses,
        spins[2],
        spins[5],
        reference_hz,
        msa_SAv2=averages[15],
        msa_S1L_pav=averages[32],
        msa_S2L_pav=averages[33],
    )


@cache
def ripple_internals() -> SimpleNamespace:
    """Return what `generate_xphm` is made of; `ripple_model` must have imported ripple.

    The mode functions evaluate the phase of the (2, 2) mode some 25 times, each a trace of
    thousands of operations: marked as functions of their own, they are traced once, in a
    quarter of the time.
    """
    from ripplegw import constants
    from ripplegw.waveforms.cbc.IMRPhenomX import IMRPhenomXAS, IMRPhenomXHM, IMRPhenomXPHM
    from ripplegw.waveforms.cbc.IMRPhenomX import initialize_MSA_system as msa

    for name in (
        "get_inspiral_phase",
        "get_intermediate_raw_phase",
        "get_mergerringdown_raw_phase",
    ):
        setattr(IMRPhenomXAS, name, jax.jit(getattr(IMRPhenomXAS, name)))
    IMRPhenomXHM.get_inspiral_phase = IMRPhenomXAS.get_inspiral_phase
    IMRPhenomXHM.get_mergerringdown_Amp = jax.jit(IMRPhenomXAS.get_mergerringdown_Amp)
    IMRPhenomXHM.IMRPhenomXAS_Phase = jax.jit(IMRPhenomXAS.Phase)
    IMRPhenomXHM.IMRPhenomXAS_Amp = jax.jit(IMRPhenomXAS.Amp)
    return SimpleNamespace(
        modes=IMRPhenomXHM.XLALSimIMRPhenomXHMGethlmModes,
        build_pWF22=IMRPhenomXHM.build_pWF22,
        twistup=IMRPhenomXPHM.twistup,
        initialize=msa.IMRPhenomX_Initialize_MSA_System,
        lal_M_sec=msa.lal_M_sec,
        MRSUN=constants.MRSUN,
        MTSUN=constants.MTSUN,
        MPC=constants.MPC,
    )
