"""Settings of the strain: where it comes from, how it is conditioned, what is kept."""

from dataclasses import dataclass, field
from enum import Enum

from ligo_cpc_snn.config.requirement import require
from ligo_cpc_snn.config.signals_schema import SignalsConfig


class Source(Enum):
    """Simulated noise, recorded noise, or recorded noise brought to simulated curves."""

    synthetic = "synthetic"
    real = "real"
    recoloured = "recoloured"


class PsdKind(Enum):
    """`fixed`: one curve per detector; `drawn`: from a set; `perturbed`: smoothly, at random."""

    fixed = "fixed"
    drawn = "drawn"
    perturbed = "perturbed"


class GlitchFamily(Enum):
    """Shapes of glitches."""

    sine_gaussian = "sine_gaussian"
    blip = "blip"
    scattered_light = "scattered_light"
    low_frequency_burst = "low_frequency_burst"


class Storage(Enum):
    """Numbers of the banks on the device; the batch is float32 in any case."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@dataclass
class PsdConfig:
    """Spectral densities of simulated and of recoloured noise."""

    kind: PsdKind = PsdKind.fixed
    count: int = 16  # different ones, drawn or perturbed
    # The set to draw from, by detector; recoloured noise without one draws from its own estimates.
    files: dict[str, list[str]] = field(default_factory=dict)
    perturbation: float = 0.1  # rms of the log of the amplitude, of `perturbed`
    perturbation_octaves: float = 0.5  # scale over which a perturbation changes

    def __post_init__(self) -> None:
        require(self.count >= 1, f"data.psd.count={self.count}: expected 1 or more")
        require(
            self.perturbation >= 0 and self.perturbation_octaves > 0,
            f"data.psd.perturbation={self.perturbation} and perturbation_octaves="
            f"{self.perturbation_octaves}: expected 0 or more, and more than 0",
        )


@dataclass
class SyntheticConfig:
    """Gaussian noise; `psd_files` maps a detector to a file of Hz and strain/sqrt(Hz)."""

    psd_files: dict[str, str] = field(default_factory=dict)  # others: analytic aLIGO
    seconds: float = 512.0  # per detector, training
    validation_seconds: float = 256.0


@dataclass
class GwoscConfig:
    """Open data from gwosc.org: spans around events, or one span of GPS time."""

    host: str = "https://gwosc.org"
    events: list[str] = field(default_factory=list)
    event_seconds: float = 256.0  # of strain around each event
    run: str | None = None  # observing run, as O3a: only its time is used
    start: int | None = None  # GPS s
    end: int | None = None  # GPS s
    hours: float | None = None  # from start, in place of end
    offline: bool = False  # only what the cache holds
    parallel: int = 4  # downloads at a time
    retries: int = 5  # of each download, waiting longer each time
    cache_gb: float = 5.0  # least recently used strain beyond it is deleted

    def __post_init__(self) -> None:
        for name in ("parallel", "retries", "cache_gb", "event_seconds", "hours"):
            value = getattr(self, name)
            require(value is None or value > 0, f"data.gwosc.{name}={value}: expected more than 0")

    @property
    def span(self) -> tuple[int, int] | None:
        """The span of GPS time asked for besides events, in s, or None."""
        if self.start is None or (self.end is None and self.hours is None):
            return None
        end = self.end if self.end is not None else self.start + round(3600 * (self.hours or 0))
        return self.start, end


@dataclass
class RealConfig:
    """How recorded strain is used."""

    exclude_files: list[str] = field(default_factory=list)  # patterns, as "*injections*"
    psd_seconds: float = 256.0  # longest stretch whitened with one PSD
    events_file: str | None = None  # GWOSC's event-versions export (CSV)
    # Cut around each known event; before a neutron star's, as long as it was in the band.
    event_margin_seconds: float = 2.0
    exclude_gps: list[str] = field(default_factory=list)  # "start-end" held out entirely
    minimum_seconds: float = 16.0  # shorter stretches are left out
    # A hash of the number of its GPS block decides in which set a second is, for ever.
    block_seconds: int = 128
    validation_fraction: float = 0.25  # of the blocks
    test_fraction: float = 0.0  # of the blocks

    def __post_init__(self) -> None:
        margin = self.event_margin_seconds
        require(margin >= 0, f"data.real.event_margin_seconds={margin}: expected 0 or more")
        require(
            self.block_seconds >= 1,
            f"data.real.block_seconds={self.block_seconds}: expected 1 or more",
        )
        for name in ("minimum_seconds", "psd_seconds"):
            value = getattr(self, name)
            require(value > 0, f"data.real.{name}={value}: expected more than 0")


@dataclass
class QualityConfig:
    """Rejection of bad stretches by thresholds learned by cross-validation.

    They leave the training noise only, and not where `glitches.real_fraction` wants them.
    """

    reject: bool = True
    stretch_seconds: float = 1.0
    folds: int = 5
    candidates: int = 40  # thresholds tried

    def __post_init__(self) -> None:
        require(self.folds >= 2, f"data.quality.folds={self.folds}: expected 2 or more")
        require(
            self.stretch_seconds >= 0.25 and self.candidates >= 2,
            f"data.quality.stretch_seconds={self.stretch_seconds} and candidates="
            f"{self.candidates}: expected 0.25 or more, and 2 or more",
        )


@dataclass
class GlitchConfig:
    """Glitches in one detector; all fractions are of the examples without a signal."""

    synthetic_fraction: float = 0.0
    families: list[GlitchFamily] = field(default_factory=lambda: list(GlitchFamily))
    bank_size: int = 1024
    snr_min: float = 5.0  # of the whole glitch, log-uniform
    snr_max: float = 100.0
    real_fraction: float = 0.0  # windows around transients that an excess-power scan finds
    scan_threshold: float = 7.0  # SNR of a transient
    hard_fraction: float = 0.0  # the loudest noise of the current model
    hard_count: int = 64
    mine_every_steps: int = 200
    mine_windows: int = 1024  # looked at for it

    def __post_init__(self) -> None:
        for name in ("synthetic_fraction", "real_fraction", "hard_fraction"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"data.glitches.{name}={value}: expected 0 to 1")
        total = self.synthetic_fraction + self.real_fraction + self.hard_fraction
        require(
            total <= 1 + 1e-9,
            f"data.glitches: synthetic, real and hard fractions are {total:g} together: expected "
            "at most 1",
        )
        require(
            0 < self.snr_min <= self.snr_max,
            f"data.glitches.snr_min={self.snr_min} and snr_max={self.snr_max}: expected "
            "0 < snr_min <= snr_max",
        )
        require(
            self.scan_threshold >= 3,
            f"data.glitches.scan_threshold={self.scan_threshold}: expected 3 or more, Gaussian "
            "noise alone has tiles of less",
        )
        for name in ("bank_size", "hard_count", "mine_every_steps", "mine_windows"):
            value = getattr(self, name)
            require(value >= 1, f"data.glitches.{name}={value}: expected 1 or more")
        require(
            self.hard_count <= self.mine_windows,
            f"data.glitches.hard_count={self.hard_count}: expected at most mine_windows="
            f"{self.mine_windows}",
        )


@dataclass
class DataConfig:
    """Strain and what is added to it: detectors, windows, noise, signals and glitches."""

    source: Source = Source.synthetic
    detectors: list[str] = field(default_factory=lambda: ["H1", "L1"])
    sample_rate_hz: int = 2048
    window_seconds: float = 1.0
    highpass_hz: float = 20.0
    lowpass_hz: float | None = None  # None: 0.9 of the Nyquist frequency
    psd_segment_seconds: float = 4.0  # Welch segment
    filter_seconds: float = 2.0  # whitening filter; half of it is cropped at each edge
    storage: Storage = Storage.float32
    signals: SignalsConfig = field(default_factory=SignalsConfig)
    glitches: GlitchConfig = field(default_factory=GlitchConfig)
    psd: PsdConfig = field(default_factory=PsdConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    strain_dir: str | None = None  # real strain from files; None: from GWOSC
    gwosc: GwoscConfig = field(default_factory=GwoscConfig)
    real: RealConfig = field(default_factory=RealConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)

    @property
    def window_samples(self) -> int:
        """Samples of a window."""
        return round(self.window_seconds * self.sample_rate_hz)

    @property
    def band_hz(self) -> tuple[float, float]:
        """Pass band (low, high) in Hz."""
        return self.highpass_hz, self.lowpass_hz or 0.45 * self.sample_rate_hz

    def __post_init__(self) -> None:
        samples = self.window_seconds * self.sample_rate_hz
        require(
            abs(samples - round(samples)) < 1e-6 and samples >= 1,
            f"data.window_seconds={self.window_seconds} is not a whole number of samples at "
            f"{self.sample_rate_hz} Hz; use {max(1, round(samples)) / self.sample_rate_hz}",
        )
        require(
            0 < self.band_hz[0] < self.band_hz[1] <= self.sample_rate_hz / 2,
            f"data.highpass_hz={self.highpass_hz} and lowpass_hz={self.band_hz[1]}: expected "
            f"0 < highpass < lowpass <= {self.sample_rate_hz / 2} Hz (half of sample_rate_hz)",
        )
