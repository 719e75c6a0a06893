"""Settings of the matched-filter search, with their units."""

from dataclasses import dataclass

from ligo_cpc_snn.config.signals_schema import Approximant

BAND_MARGIN = (0.9, 1 / 0.95)  # the whitening's cosine edges lie outside the templates' band


@dataclass(frozen=True)
class MatchedFilterSettings:
    """How strain is filtered and triggers become events; the templates are the bank's.

    Args:
        detectors: Two names; the light travels less than `coincidence_seconds` between them.
        highest_hz: Templates end here; they begin at the bank's lowest frequency.
        segment_seconds: Of one Fourier transform, longer than the longest template.
        snr_rate_hz: Of the complex signal-to-noise ratio, more than `highest_hz`; peaks that
            are followed up are interpolated.
        threshold: Of a trigger's signal-to-noise ratio.
        window_seconds: Each template keeps its largest value of each window; 64 samples.
        network_threshold: Root of the sum of squares of the two ratios, of a coincidence that
            is followed up with chi-squared.
        chi_squared_bins: Bands of equal power; 0 does without.
        coincidence_seconds: Largest difference of the two times: 10 ms of light travel from H1
            to L1, and 5 ms for the error of timing.
        cluster_seconds: The loudest event within it, before or after, stays.
        phase_time: Whether the ranking adds how likely a signal has the differences of phase,
            time and amplitude between the detectors.
        psd_seconds: Of strain that one spectral density is measured on, at most.
        psd_segment_seconds: Of Welch's method.
        filter_seconds: Of the whitening filter.
        memory_bytes: That one batch of templates may use on the device.
        timing_seconds: `var` of the events file.
    """

    detectors: tuple[str, str] = ("H1", "L1")
    highest_hz: float = 900.0
    segment_seconds: int = 64
    snr_rate_hz: int = 1024
    threshold: float = 3.5
    window_seconds: float = 1 / 16
    network_threshold: float = 6.0
    chi_squared_bins: int = 16
    coincidence_seconds: float = 0.015
    cluster_seconds: float = 0.35
    phase_time: bool = True
    psd_seconds: float = 512.0
    psd_segment_seconds: float = 4.0
    filter_seconds: float = 2.0
    memory_bytes: int = 16 << 20  # on a CPU small batches stay in the cache
    timing_seconds: float = 0.3

    def __post_init__(self) -> None:
        samples = self.window_seconds * self.snr_rate_hz
        if samples < 2 or samples != 2 ** round(samples).bit_length() / 2:
            raise ValueError(
                f"window_seconds={self.window_seconds} has {samples:g} samples at "
                f"snr_rate_hz={self.snr_rate_hz}: expected a power of two, 2 or more"
            )
        if self.snr_rate_hz <= self.highest_hz:
            raise ValueError(
                f"snr_rate_hz={self.snr_rate_hz}: expected more than highest_hz="
                f"{self.highest_hz:g}, complex samples carry as many Hz as there are per second"
            )

    @property
    def window_samples(self) -> int:
        """Samples of the signal-to-noise ratio in a window."""
        return round(self.window_seconds * self.snr_rate_hz)


APPROXIMANT = Approximant.IMRPhenomXAS
