"""The matched filter: every template over every segment, and the peaks that stand out.

The signal-to-noise ratio of a real template over its two quadratures is a complex series
whose spectrum has positive frequencies only: `snr_rate_hz` complex samples a second carry it.

Reference: Allen et al. 2012, PRD 85, 122006, section IV.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from ligo_cpc_snn.search.matched.segments import FilterData
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.matched.templates import (
    FilterGrid,
    TemplateSpectra,
    batch_size,
    template_batches,
)
from ligo_cpc_snn.signals.double_precision import complex_numbers

SEGMENTS_AT_ONCE = 16


@dataclass(frozen=True)
class SingleTriggers:
    """One detector's triggers, in order of template and then of time.

    Args:
        template: Number in the bank.
        segment: Number of the transform.
        gps: Of the peak's sample, s; of the template's t = 0.
        snr: Complex signal-to-noise ratio there.
    """

    template: Int[np.ndarray, "trigger"]
    segment: Int[np.ndarray, "trigger"]
    gps: Float[np.ndarray, "trigger"]
    snr: Complex[np.ndarray, "trigger"]


def find_triggers(
    data: FilterData,
    templates: TemplateSpectra,
    grid: FilterGrid,
    settings: MatchedFilterSettings,
) -> SingleTriggers:
    """Return each template's largest value of each window where it is above the threshold."""
    batch = batch_size(grid, templates.size, settings.memory_bytes)
    found = []
    for chosen in template_batches(templates.size, batch):
        spectra = templates.of(chosen)
        scale = 1 / norms(spectra, data)[:, data.whitening]
        fresh = np.concatenate([[True], chosen[1:] > chosen[:-1]])
        for first in range(0, len(data.gps), SEGMENTS_AT_ONCE):
            rows = _rows(data, first)
            with complex_numbers():
                packed, snr = _peaks(
                    data.spectra[rows], spectra, grid=grid, window=settings.window_samples
                )
            loud = _above(np.asarray(packed), np.asarray(snr), scale[:, rows].T, fresh, settings)
            found.append((*loud, rows, chosen))
    return _joined(found, data, grid, settings)


def norms(
    spectra: Complex[Array, "template frequency"] | Complex[np.ndarray, "template frequency"],
    data: FilterData,
) -> Float[np.ndarray, "template whitening"]:
    """Return the templates' optimal signal-to-noise ratios at 1 Gpc, per whitening."""
    power = np.square(np.abs(np.asarray(spectra)))
    return np.sqrt(power @ data.weights.T)


def _rows(data: FilterData, first: int) -> np.ndarray:
    """Return numbers of segments; the last group repeats its last, for one program."""
    size = min(SEGMENTS_AT_ONCE, len(data.gps))
    return np.minimum(np.arange(first, first + size), len(data.gps) - 1)


@partial(jax.jit, static_argnames=("grid", "window"))
def _peaks(
    data: Complex[Array, "segment frequency"],
    spectra: Complex[Array, "template frequency"],
    *,
    grid: FilterGrid,
    window: int,
) -> tuple[Int[Array, "segment template window"], Complex[Array, "segment template window"]]:
    """Return each window's largest power, with its place in it, and the value there."""
    conjugate = jnp.conj(spectra)
    edges = ((0, 0), (grid.low, grid.samples - grid.high))

    def of_segment(one: Array) -> tuple[Array, Array]:
        z = jnp.fft.ifft(jnp.pad(one * conjugate, edges), norm="forward")
        z = z[:, grid.before : grid.samples - grid.after].reshape(len(spectra), -1, window)
        power = z.real**2 + z.imag**2
        # Positive floats order as integers do: with the place in the lowest bits, one maximum
        # of integers is both max and argmax, at a relative loss of 2^-17.
        bits = jax.lax.bitcast_convert_type(power, jnp.int32)
        place = jnp.arange(window, dtype=jnp.int32)
        packed = ((bits & ~(window - 1)) | place).max(axis=-1)
        peak = (packed & (window - 1))[..., None]
        return packed, jnp.take_along_axis(z, peak, axis=-1)[..., 0]

    return jax.lax.map(of_segment, data)


Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _above(
    packed: np.ndarray,
    snr: np.ndarray,
    scale: np.ndarray,
    fresh: np.ndarray,
    settings: MatchedFilterSettings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places (segment, template, window), samples in the window and ratios."""
    scaled = snr * scale[:, :, None]
    loud = (np.abs(scaled) >= settings.threshold) & fresh[None, :, None]
    places = np.argwhere(loud)
    return places, packed[loud] & (settings.window_samples - 1), scaled[loud]


def _joined(
    found: list[Found], data: FilterData, grid: FilterGrid, settings: MatchedFilterSettings
) -> SingleTriggers:
    segment, template, gps, snr = [], [], [], []
    for places, offset, values, rows, chosen in found:
        # Rows that fill up the last group are there already.
        first = np.concatenate([[True], rows[1:] > rows[:-1]])[places[:, 0]]
        where = rows[places[:, 0]]
        sample = grid.before + places[:, 2] * settings.window_samples + offset
        time = data.gps[where] + sample / grid.snr_rate_hz
        keep = first & (time < data.gps_end)
        segment.append(where[keep])
        template.append(chosen[places[keep, 1]])
        gps.append(time[keep])
        snr.append(values[keep])
    joined = [np.concatenate(parts) for parts in (template, segment, gps, snr)]
    order = np.lexsort((joined[2], joined[0]))
    return SingleTriggers(*(values[order] for values in joined))
