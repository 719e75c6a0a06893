"""Settings of the signals: which sources, which waveforms, how loud."""

from dataclasses import dataclass, field
from enum import Enum
from math import pi
from typing import Any

from ligo_cpc_snn.config.requirement import require


class Distribution(Enum):
    """Shape of a prior; `sine` and `cosine` are isotropic angles."""

    fixed = "fixed"
    uniform = "uniform"
    log_uniform = "log_uniform"
    power_law = "power_law"  # p(x) proportional to x^index
    power_law_peak = "power_law_peak"  # with a Gaussian peak and a smooth lower end
    comoving_volume = "comoving_volume"  # a luminosity distance, sources uniform in it and in time
    sine = "sine"
    cosine = "cosine"


class Approximant(Enum):
    """Waveform models of ripple; `SineGaussian` is a burst without masses."""

    IMRPhenomD = "IMRPhenomD"
    IMRPhenomXAS = "IMRPhenomXAS"
    IMRPhenomXP = "IMRPhenomXP"
    IMRPhenomXPHM = "IMRPhenomXPHM"
    TaylorF2 = "TaylorF2"
    IMRPhenomD_NRTidalv2 = "IMRPhenomD_NRTidalv2"
    IMRPhenomXAS_NRTidalv3 = "IMRPhenomXAS_NRTidalv3"
    SineGaussian = "SineGaussian"


class MassKind(Enum):
    """`components`: mass_1 and mass_2 are drawn; `ratio`: mass_1 and mass_ratio <= 1."""

    components = "components"
    ratio = "ratio"


class MassFrame(Enum):
    """`source`: masses are multiplied by 1 + z of the drawn luminosity distance."""

    detector = "detector"
    source = "source"


class SpinKind(Enum):
    """`aligned`: spin_1z, spin_2z; `precessing`: magnitudes, tilts and azimuths."""

    aligned = "aligned"
    precessing = "precessing"


class DistanceKind(Enum):
    """`chirp`: luminosity distance times (1.22 solar masses / chirp mass)^(5/6)."""

    luminosity = "luminosity"
    chirp = "chirp"


class Loudness(Enum):
    """`drawn`: the training phase draws network SNRs; `population`: the drawn distance sets it.

    With `population` the `snr` of the training phases is not used and must stay as it is.
    """

    drawn = "drawn"
    population = "population"


@dataclass
class PriorConfig:
    """One source parameter: `fixed` takes `low`; all angles are in rad."""

    kind: Distribution = Distribution.uniform
    low: float = 0.0
    high: float = 1.0
    index: float = 0.0  # of a power law; of comoving_volume: of (1 + z), growth of the rate
    peak_fraction: float = 0.0  # of power_law_peak: share, centre and width of the peak
    peak: float = 0.0
    peak_width: float = 1.0
    # Width over which the lower end rises, of power_law_peak; of mass_ratio: in solar masses.
    smoothing: float = 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return self.low, self.low if self.kind is Distribution.fixed else self.high

    def __post_init__(self) -> None:
        require(
            self.kind is Distribution.fixed or self.low <= self.high,
            f"prior with low={self.low} and high={self.high}: expected low <= high",
        )
        positive = (
            Distribution.log_uniform,
            Distribution.power_law,
            Distribution.power_law_peak,
            Distribution.comoving_volume,
        )
        require(
            self.kind not in positive or self.low > 0,
            f"{self.kind.value} prior with low={self.low}: expected low > 0",
        )
        require(
            0 <= self.peak_fraction <= 1 and self.peak_width > 0 and self.smoothing >= 0,
            f"prior with peak_fraction={self.peak_fraction}, peak_width={self.peak_width} and "
            f"smoothing={self.smoothing}: expected 0 to 1, more than 0, and 0 or more",
        )
        require(
            self.kind is not Distribution.power_law_peak
            or self.low < self.high >= self.low + self.smoothing,
            f"power_law_peak prior with low={self.low}, high={self.high} and "
            f"smoothing={self.smoothing}: expected low < high, and low + smoothing <= high",
        )
        require(
            self.kind is not Distribution.power_law_peak
            or not self.peak_fraction
            or self.low <= self.peak <= self.high,
            f"power_law_peak prior with peak={self.peak}: expected low={self.low} to "
            f"high={self.high}, or peak_fraction=0",
        )
        self._check_angle()

    def _check_angle(self) -> None:
        """Refuse angles beyond the poles; their bounds may be rounded."""
        poles = {Distribution.sine: (0.0, pi), Distribution.cosine: (-pi / 2, pi / 2)}
        first, last = poles.get(self.kind, (self.low, self.high))
        require(
            first - 1e-3 <= self.low and self.high <= last + 1e-3,
            f"{self.kind.value} prior with low={self.low} and high={self.high}: expected angles "
            f"in rad from {first:.5g} to {last:.5g}",
        )


def _prior(kind: Distribution, low: float, high: float, index: float = 0.0) -> Any:
    return field(default_factory=lambda: PriorConfig(kind, low, high, index))


def _isotropic_tilt() -> Any:
    return _prior(Distribution.sine, 0.0, pi)


def _angle() -> Any:
    return _prior(Distribution.uniform, 0.0, 2 * pi)


@dataclass
class PopulationConfig:
    """Sources; the heavier body is mass_1. Parameters that others replace are not drawn.

    Sine-Gaussian bursts have no masses, spins and deformabilities: whatever those say is ignored.
    """

    mass_kind: MassKind = MassKind.components
    mass_frame: MassFrame = MassFrame.detector
    mass_1: PriorConfig = _prior(Distribution.uniform, 10.0, 50.0)  # solar masses
    mass_2: PriorConfig = _prior(Distribution.uniform, 10.0, 50.0)  # solar masses
    mass_ratio: PriorConfig = _prior(Distribution.uniform, 0.2, 1.0)  # mass_2 / mass_1
    smallest_mass_2: float = 0.0  # solar masses; with `ratio`, lighter companions are not drawn
    spin_kind: SpinKind = SpinKind.aligned
    spin_1z: PriorConfig = _prior(Distribution.uniform, -0.9, 0.9)
    spin_2z: PriorConfig = _prior(Distribution.uniform, -0.9, 0.9)
    spin_1: PriorConfig = _prior(Distribution.uniform, 0.0, 0.99)  # magnitude
    spin_2: PriorConfig = _prior(Distribution.uniform, 0.0, 0.99)
    tilt_1: PriorConfig = _isotropic_tilt()
    tilt_2: PriorConfig = _isotropic_tilt()
    azimuth_1: PriorConfig = _angle()
    azimuth_2: PriorConfig = _angle()
    lambda_1: PriorConfig = _prior(Distribution.fixed, 0.0, 0.0)  # tidal deformability
    lambda_2: PriorConfig = _prior(Distribution.fixed, 0.0, 0.0)
    distance_kind: DistanceKind = DistanceKind.luminosity
    distance: PriorConfig = _prior(Distribution.power_law, 100.0, 2000.0, index=2.0)  # Mpc
    right_ascension: PriorConfig = _angle()
    declination: PriorConfig = _prior(Distribution.cosine, -pi / 2, pi / 2)
    inclination: PriorConfig = _prior(Distribution.sine, 0.0, pi)
    polarization: PriorConfig = _prior(Distribution.uniform, 0.0, pi)
    phase: PriorConfig = _angle()
    # Of sine-Gaussian bursts only:
    frequency_hz: PriorConfig = _prior(Distribution.log_uniform, 40.0, 400.0)
    quality: PriorConfig = _prior(Distribution.log_uniform, 3.0, 100.0)  # LAL's Q


@dataclass
class SignalsConfig:
    """Training signals: population, waveforms, banks and where in a window they lie."""

    population: PopulationConfig = field(default_factory=PopulationConfig)
    approximant: Approximant = Approximant.IMRPhenomD
    modes: list[str] = field(default_factory=list)  # as "22"; none: all that the model has
    loudness: Loudness = Loudness.drawn
    bank_size: int = 8192  # training signals; validation has its own bank
    validation_bank_size: int = 1024
    # New training signals and glitches every so many steps, and other noise if it does not
    # all fit; 0: never. No signal is shown twice if bank_size is at least this times the
    # signals of a batch.
    refresh_steps: int = 0
    duration_seconds: float = 8.0  # of the waveform before it is cropped
    reference_hz: float = 20.0
    merger_earliest: float = 0.6  # merger time as a fraction of the window
    merger_latest: float = 0.95
    signal_fraction: float = 0.5  # of the examples in a batch
    decoy_fraction: float = 0.0  # of the others: a signal in one detector only, as a glitch

    def __post_init__(self) -> None:
        require(
            0 < self.merger_earliest <= self.merger_latest <= 1,
            f"data.signals.merger_earliest={self.merger_earliest} and "
            f"merger_latest={self.merger_latest}: expected 0 < earliest <= latest <= 1",
        )
        for name in ("signal_fraction", "decoy_fraction"):
            require(
                0 <= getattr(self, name) <= 1,
                f"data.signals.{name}={getattr(self, name)}: expected a number from 0 to 1",
            )
        require(
            self.refresh_steps >= 0,
            f"data.signals.refresh_steps={self.refresh_steps}: expected 0 (never) or more",
        )
        for name in ("duration_seconds", "reference_hz"):
            value = getattr(self, name)
            require(value > 0, f"data.signals.{name}={value}: expected more than 0")
