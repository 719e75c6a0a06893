"""How long a signal lasts in the band: known before anything is drawn, or JAX imported."""

import math

from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    MassKind,
    PopulationConfig,
    SignalsConfig,
    SpinKind,
)

SOLAR_MASS_SECONDS = 4.925490947641267e-6  # s, G M_sun / c^3 of the IAU nominal value


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
    """Return an upper bound of the chirp times of a population, in s.

    It is the time of its lightest bodies with their largest spins, fully aligned. Masses in
    the source's frame are taken as they are: a redshift makes them heavier, signals shorter.
    It is that of the quadrupole; a higher mode passes `lowest_hz` earlier, but is weak there:
    of 7 + 7 solar masses edge on, what (4, 4) has before the quadrupole's 16 s is 0.5 % of the SNR.
    """
    mass_1 = population.mass_1.low
    if population.mass_kind is MassKind.ratio:
        mass_2 = max(population.mass_ratio.low * mass_1, population.smallest_mass_2)
    else:
        mass_2 = population.mass_2.low
    if population.spin_kind is SpinKind.precessing:
        spins = population.spin_1, population.spin_2
    else:
        spins = population.spin_1z, population.spin_2z
    return chirp_time(mass_1, mass_2, spins[0].bounds[1], spins[1].bounds[1], lowest_hz)


def longest_burst(population: PopulationConfig) -> float:
    """Return how long the longest sine-Gaussian of a population lasts, in s.

    Its envelope exp(-2 (pi f t / Q)^2) is below 3e-4 outside of +-2 Q / (pi f).
    """
    return 4 * population.quality.bounds[1] / (math.pi * population.frequency_hz.low)


def duration_fault(
    signals_cfg: SignalsConfig, lowest_hz: float, filter_seconds: float
) -> str | None:
    """Return what is wrong if a signal of the population does not fit `duration_seconds`.

    Half of the whitening filter is added: the whitened signal begins that much earlier,
    and would otherwise come back at the other end of the Fourier transform's circle.
    """
    if signals_cfg.approximant is Approximant.SineGaussian:
        longest = longest_burst(signals_cfg.population)
        lasts = f"lasts {longest:.2f} s"
        remedy = "raise the lowest frequency_hz or lower the highest quality"
    else:
        longest = longest_chirp_time(signals_cfg.population, lowest_hz)
        lasts = f"has a chirp time of {longest:.2f} s from {lowest_hz:g} Hz"
        remedy = "raise data.highpass_hz or the lowest masses"
    needed = longest + filter_seconds / 2
    if needed <= signals_cfg.duration_seconds:
        return None
    return (
        f"data.signals.duration_seconds={signals_cfg.duration_seconds:g}: the longest signal "
        f"of the population {lasts} and needs {needed:.2f} s with half of the whitening "
        f"filter: set it to {math.ceil(needed)}, or {remedy}"
    )
