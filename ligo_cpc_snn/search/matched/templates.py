"""Spectra of a bank's templates on the grid of the filter's Fourier transform."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from ligo_cpc_snn.conditioning.psd import STRAIN_SCALE
from ligo_cpc_snn.search.matched.bank import TemplateBank
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.matched.waveform_nodes import HIGHEST_HZ, NODES, amplitudes_and_phases
from ligo_cpc_snn.signals.double_precision import double_precision
from ligo_cpc_snn.signals.duration import chirp_time
from ligo_cpc_snn.signals.interpolation import cubic_interpolation

RINGDOWN_SECONDS = 0.5  # of a template after t = 0
LEAST_VALID = 0.25  # share of a segment that is left of the templates' length

BYTES_PER_POINT = 32  # product, transform, power and packed power of one complex sample


@dataclass(frozen=True)
class FilterGrid:
    """Frequencies and times of one Fourier transform of the filter.

    Args:
        seconds: Its length.
        snr_rate_hz: Of the complex signal-to-noise ratio.
        low, high: First frequency, and the one after the last, in steps of 1 / seconds.
        before, after: SNR samples at its ends that the circle spoils.
    """

    seconds: int
    snr_rate_hz: int
    low: int
    high: int
    before: int
    after: int

    @property
    def samples(self) -> int:
        """Complex samples of the signal-to-noise ratio."""
        return self.seconds * self.snr_rate_hz

    @property
    def valid(self) -> int:
        """Samples that a segment contributes: the stride from segment to segment."""
        return self.samples - self.before - self.after

    @property
    def frequencies(self) -> np.ndarray:
        """In Hz, float64."""
        return np.arange(self.low, self.high) / self.seconds


def filter_grid(bank: TemplateBank, settings: MatchedFilterSettings) -> FilterGrid:
    """Return the grid whose segments hold the bank's longest template.

    Raises:
        ValueError: The segment is too short for it, or the band too wide.
    """
    if settings.highest_hz > HIGHEST_HZ:
        raise ValueError(f"highest_hz={settings.highest_hz:g}: expected at most {HIGHEST_HZ:g}")
    names = ("mass_1", "mass_2", "spin_1z", "spin_2z")
    rows = zip(*(bank.parameters[name].tolist() for name in names), strict=True)
    longest = max(chirp_time(a, b, spin_a, spin_b, bank.lowest_hz) for a, b, spin_a, spin_b in rows)
    half = settings.filter_seconds / 2
    window, rate = settings.window_samples, settings.snr_rate_hz
    windows = settings.segment_seconds * rate // window
    before = int(np.ceil((longest + half) * rate / window))
    after = int(np.ceil((RINGDOWN_SECONDS + half) * rate / window))
    if windows - before - after < LEAST_VALID * windows:
        raise ValueError(
            f"segment_seconds={settings.segment_seconds}: the longest template lasts "
            f"{longest:.1f} s, expected {(longest + 3 * half) / (1 - LEAST_VALID):.0f} s or more"
        )
    seconds = settings.segment_seconds
    low, high = int(bank.lowest_hz * seconds), int(settings.highest_hz * seconds)
    # What does not divide into whole windows is left at the end.
    end = settings.segment_seconds * rate - windows * window + after * window
    return FilterGrid(seconds, rate, low, high, before * window, end)


def batch_size(grid: FilterGrid, templates: int, memory_bytes: int) -> int:
    """Return how many templates are filtered at a time: what fits, one at least."""
    return max(1, min(templates, memory_bytes // (BYTES_PER_POINT * grid.samples)))


class TemplateSpectra:
    """A bank's templates, evaluated once at the nodes; spectra are interpolated from them.

    Args:
        bank: The bank.
        grid: Of the filter's transform.
    """

    def __init__(self, bank: TemplateBank, grid: FilterGrid) -> None:
        self.size = bank.size
        self._values = amplitudes_and_phases(bank.parameters, bank.lowest_hz)
        octaves = np.log(np.maximum(grid.frequencies, bank.lowest_hz) / bank.lowest_hz)
        self._position = octaves * (NODES - 1) / np.log(HIGHEST_HZ / bank.lowest_hz)

    def of(self, chosen: Int[np.ndarray, "template"]) -> Complex[Array, "template frequency"]:
        """Return spectra of face-on templates at 1 Gpc times `STRAIN_SCALE`, complex64."""
        amplitude, phase = (values[chosen] for values in self._values)
        with double_precision():
            return _spectra(jnp.asarray(amplitude), jnp.asarray(phase), jnp.asarray(self._position))


@jax.jit
def _spectra(
    amplitude: Float[Array, "template node"],
    phase: Float[Array, "template node"],
    position: Float[Array, "frequency"],
) -> Complex[Array, "template frequency"]:
    size = cubic_interpolation(amplitude * STRAIN_SCALE, position).astype(jnp.float32)
    # The phase in single precision, after whole turns are taken off.
    turned = jnp.remainder(cubic_interpolation(phase, position), 2 * jnp.pi).astype(jnp.float32)
    return jax.lax.complex(size * jnp.cos(turned), size * jnp.sin(turned))


def template_batches(size: int, batch: int) -> Iterator[np.ndarray]:
    """Yield numbers of templates; the last batch is filled up with its last template."""
    for first in range(0, size, batch):
        yield np.minimum(np.arange(first, first + batch), size - 1)
