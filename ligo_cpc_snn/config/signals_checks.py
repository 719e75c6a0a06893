"""Checks of the signals: populations that cannot be, or that their waveforms cannot show."""

from collections.abc import Iterator
from dataclasses import fields
from math import inf

from ligo_cpc_snn.config.durations import duration_fault
from ligo_cpc_snn.config.errors import suggest
from ligo_cpc_snn.config.schema import Config, SnrRange
from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    DistanceKind,
    Distribution,
    Loudness,
    MassKind,
    PriorConfig,
    SpinKind,
)

_PRECESSING = (Approximant.IMRPhenomXP, Approximant.IMRPhenomXPHM)
_TIDAL = (
    Approximant.TaylorF2,
    Approximant.IMRPhenomD_NRTidalv2,
    Approximant.IMRPhenomXAS_NRTidalv3,
)
MODES = ("22", "21", "33", "32", "44")  # of IMRPhenomXPHM
_RATIOS = (
    Distribution.fixed,
    Distribution.uniform,
    Distribution.log_uniform,
    Distribution.power_law,
)
_LIMITS = (
    ("mass_1 mass_2", 0.1, inf),  # solar masses
    ("mass_ratio", 1e-3, 1.0),
    ("spin_1z spin_2z", -1.0, 1.0),
    ("spin_1 spin_2", 0.0, 1.0),
    ("lambda_1 lambda_2", 0.0, inf),
    ("distance", 1e-3, inf),  # Mpc
    ("frequency_hz", 1.0, inf),
    ("quality", 0.1, inf),
)
_KEY = "data.signals.population"


def _waveform(cfg: Config) -> Iterator[str]:
    """Find what the waveform model does not have; a sine-Gaussian has nothing of a binary."""
    signals, population = cfg.data.signals, cfg.data.signals.population
    name = signals.approximant.name
    if signals.approximant is Approximant.SineGaussian:
        return
    if population.spin_kind is SpinKind.precessing and signals.approximant not in _PRECESSING:
        yield (
            f"{_KEY}.spin_kind=precessing with data.signals.approximant={name}, whose spins are "
            f"aligned: expected {_names(_PRECESSING)}, or spin_kind=aligned"
        )
    for body in ("lambda_1", "lambda_2"):
        highest = getattr(population, body).bounds[1]
        if highest > 0 and signals.approximant not in _TIDAL:
            yield (
                f"{_KEY}.{body} up to {highest:g} with data.signals.approximant={name}, which "
                f"has no tides: expected {_names(_TIDAL)}, or kind=fixed and low=0"
            )


def _modes(cfg: Config) -> Iterator[str]:
    signals = cfg.data.signals
    if signals.modes and signals.approximant is not Approximant.IMRPhenomXPHM:
        yield (
            f"data.signals.modes={signals.modes} with data.signals.approximant="
            f"{signals.approximant.name}: only IMRPhenomXPHM has modes to choose, leave it []"
        )
    for mode in signals.modes:
        if mode not in MODES:
            yield (
                f"data.signals.modes has {mode}: expected some of {', '.join(MODES)}"
                f"{suggest(mode, MODES)}"
            )
    if len(set(signals.modes)) < len(signals.modes):
        yield f"data.signals.modes={signals.modes}: each mode may stand there once"


def _bounds(cfg: Config) -> Iterator[str]:
    """Find values that no source has."""
    for names, least, most in _LIMITS:
        for name in names.split():
            low, high = getattr(cfg.data.signals.population, name).bounds
            if low < least or high > most:
                yield (
                    f"{_KEY}.{name} from {low:g} to {high:g}: expected at least {least:g}"
                    f"{f' and at most {most:g}' if most < inf else ''}"
                )


def _mass_ratio(cfg: Config) -> Iterator[str]:
    population = cfg.data.signals.population
    ratio, smallest = population.mass_ratio, population.smallest_mass_2
    if population.mass_kind is MassKind.components:
        if smallest:
            yield (
                f"{_KEY}.smallest_mass_2={smallest:g} with mass_kind=components: raise "
                "mass_1.low and mass_2.low instead, or give mass_kind=ratio"
            )
        return
    if ratio.kind not in _RATIOS:
        yield f"{_KEY}.mass_ratio.kind={ratio.kind.name}: expected {_names(_RATIOS)}"
    heaviest = ratio.bounds[1] * population.mass_1.low
    if not 0 <= smallest <= heaviest:
        yield (
            f"{_KEY}.smallest_mass_2={smallest:g}: expected 0 to {heaviest:g}, the lightest "
            "mass_1 times the highest mass_ratio, so that each mass_1 has a companion"
        )
    if ratio.smoothing and not smallest:
        yield (
            f"{_KEY}.mass_ratio.smoothing={ratio.smoothing:g} without smallest_mass_2, above "
            "which it rises: give that, too"
        )


def _distance(cfg: Config) -> Iterator[str]:
    population = cfg.data.signals.population
    volume = Distribution.comoving_volume
    if population.distance_kind is DistanceKind.chirp and population.distance.kind is volume:
        yield (
            f"{_KEY}.distance.kind=comoving_volume with distance_kind=chirp: expected "
            "distance_kind=luminosity, a volume of chirp distances is none of the universe"
        )
    for field in fields(population):
        prior = getattr(population, field.name)
        if isinstance(prior, PriorConfig) and prior.kind is volume and field.name != "distance":
            yield f"{_KEY}.{field.name}.kind=comoving_volume: only a distance can be drawn so"


def _loudness(cfg: Config) -> Iterator[str]:
    """Find SNRs of training phases that would be ignored without a word."""
    if cfg.data.signals.loudness is Loudness.drawn:
        return
    for name in ("pretrain", "probe", "finetune"):
        if getattr(cfg.training, name).snr != SnrRange():
            yield (
                f"training.{name}.snr is given, but with data.signals.loudness=population the "
                "distances set the SNR: leave it out, or give data.signals.loudness=drawn"
            )


def _duration(cfg: Config) -> Iterator[str]:
    """Find signals that do not fit, as the run would once it has its noise."""
    data = cfg.data
    # Filters have an odd number of taps.
    taps = 2 * round(data.filter_seconds * data.sample_rate_hz / 2) + 1
    fault = duration_fault(data.signals, data.band_hz[0], taps / data.sample_rate_hz)
    if fault is not None:
        yield fault


def _names(choices: tuple[Approximant, ...] | tuple[Distribution, ...]) -> str:
    first = ", ".join(choice.name for choice in choices[:-1])
    return f"{first} or {choices[-1].name}"


CHECKS = (_waveform, _modes, _bounds, _mass_ratio, _distance, _loudness, _duration)
