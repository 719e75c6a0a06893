"""How long a signal lasts in the band."""

import math

from ligo_cpc_snn.config.signals_schema import (
    Distribution,
    PopulationConfig,
    PriorConfig,
    SignalsConfig,
)
from ligo_cpc_snn.signals.waveforms import SOLAR_MASS_SECONDS


def chirp_time(
    mass_1: float, mass_2: float, spin_1z: float, spin_2z: float, lowest_hz: float
) -> float:
    """Return the time a binary takes from `lowest_hz` to its merger, to 1.5PN order.

    Args:
        mass_1, mass_2: In solar masses.
        spin_1z, spin_2z: Dimensionless.
        lowest_hz: Frequency of the wave at the start, in Hz.

    Returns:
        Time in s.

    Reference: Poisson and Will 1995, PRD 52, 848.
    """
    total = mass_1 + mass_2
    eta = mass_1 * mass_2 / total**2
    v = (math.pi * total * SOLAR_MASS_SECONDS * lowest_hz) ** (1 / 3)
    beta = sum(
        (113 / 12 * (m / total) ** 2 + 25 / 4 * eta) * spin
        for m, spin in ((mass_1, spin_1z), (mass_2, spin_2z))
    )
    series = 1 + 4 / 3 * (743 / 336 + 11 / 4 * eta) * v**2 - 8 / 5 * (4 * math.pi - beta) * v**3
    return 5 * total * SOLAR_MASS_SECONDS / (256 * eta) * v**-8 * series


def longest_chirp_time(population: PopulationConfig, lowest_hz: float) -> float:
    """Return the chirp time of the population's lightest source with the largest spins, in s."""

    def highest(prior: PriorConfig) -> float:
        return prior.low if prior.kind is Distribution.fixed else prior.high

    return chirp_time(
        population.mass_1.low,
        population.mass_2.low,
        highest(population.spin_1z),
        highest(population.spin_2z),
        lowest_hz,
    )


def check_duration(signals_cfg: SignalsConfig, lowest_hz: float, filter_seconds: float) -> None:
    """Raise a `ValueError` if a signal of the population does not fit `duration_seconds`.

    Half of the whitening filter is added: the whitened signal begins that much earlier,
    and would otherwise come back at the other end of the Fourier transform's circle.
    """
    longest = longest_chirp_time(signals_cfg.population, lowest_hz)
    needed = longest + filter_seconds / 2
    if needed > signals_cfg.duration_seconds:
        raise ValueError(
            f"data.signals.duration_seconds={signals_cfg.duration_seconds:g}: the longest signal "
            f"of the population has a chirp time of {longest:.2f} s from {lowest_hz:g} Hz and "
            f"needs {needed:.2f} s with half of the whitening filter: set it to "
            f"{math.ceil(needed)}, or raise data.highpass_hz or the lowest masses"
        )
