"""A second, closer look at triggers: time between the samples, phase, and chi-squared."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float

from ligo_cpc_snn.search.matched.chisq import band_starts, reduced_chi_squared
from ligo_cpc_snn.search.matched.filtering import SingleTriggers, norms
from ligo_cpc_snn.search.matched.segments import FilterData
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.matched.templates import (
    FilterGrid,
    TemplateSpectra,
    batch_size,
    template_batches,
)

LEAST_BINS = 2


@dataclass(frozen=True)
class FollowedUp:
    """What is known of triggers after the second look, NaN of those that had none.

    Args:
        gps: Of the peak, between the samples, s.
        snr: Complex signal-to-noise ratio there.
        reduced: Chi-squared over its degrees of freedom; 1 where it was not asked for.
    """

    gps: Float[np.ndarray, "trigger"]
    snr: Complex[np.ndarray, "trigger"]
    reduced: Float[np.ndarray, "trigger"]


def follow_up(
    triggers: SingleTriggers,
    wanted: Bool[np.ndarray, "trigger"],
    data: FilterData,
    templates: TemplateSpectra,
    grid: FilterGrid,
    settings: MatchedFilterSettings,
) -> FollowedUp:
    """Compute the wanted triggers' peaks and chi-squared from the transforms they come from."""
    gps = np.full(wanted.size, np.nan)
    snr, reduced = np.full(wanted.size, np.nan, np.complex128), np.full(wanted.size, np.nan)
    batch = batch_size(grid, templates.size, settings.memory_bytes)
    for chosen in template_batches(templates.size, batch):
        first, last = np.searchsorted(triggers.template, [chosen[0], chosen[-1] + 1])
        rows = first + np.flatnonzero(wanted[first:last])
        if not rows.size:
            continue
        spectra = np.asarray(templates.of(chosen))
        scale = norms(spectra, data)
        for row in rows:
            i, segment = triggers.template[row] - chosen[0], triggers.segment[row]
            whitening = data.whitening[segment]
            terms = data.spectra[segment] * np.conj(spectra[i]) / scale[i, whitening]
            power = np.abs(spectra[i]) ** 2 * data.weights[whitening]
            delay = triggers.gps[row] - data.gps[segment]
            moved, snr[row], reduced[row] = at_peak(
                terms, power, delay, grid, settings.chi_squared_bins
            )
            gps[row] = triggers.gps[row] + moved
    return FollowedUp(gps, snr, reduced)


def at_peak(
    terms: Complex[np.ndarray, "frequency"],
    power: Float[np.ndarray, "frequency"],
    delay: float,
    grid: FilterGrid,
    bins: int,
) -> tuple[float, complex, float]:
    """Return how far the peak is from a sample, the ratio there and its reduced chi-squared.

    Args:
        terms: Whose sum, turned by `delay`, is the signal-to-noise ratio.
        power: Of the whitened template.
        delay: Of the sample from the start of the transform, s.
        grid: Of the transform.
        bins: Bands of chi-squared; fewer than 2: none.
    """
    frequencies = grid.frequencies
    terms = terms * _turn(frequencies * delay)
    half = 0.5 / grid.snr_rate_hz
    shift = _turn(frequencies * half)
    before, at, after = (
        abs(total) ** 2 for total in (np.vdot(shift, terms), terms.sum(), np.dot(shift, terms))
    )
    bend = max(2 * at - before - after, 1e-12)
    moved = half * float(np.clip((after - before) / (2 * bend), -1, 1))
    terms = terms * _turn(frequencies * moved)
    if bins < LEAST_BINS:
        return moved, complex(terms.sum()), 1.0
    parts = np.add.reduceat(terms, band_starts(power, bins))
    return moved, complex(parts.sum()), float(reduced_chi_squared(parts))


def _turn(turns: Float[np.ndarray, "frequency"]) -> Complex[np.ndarray, "frequency"]:
    """Return exp(2 pi i turns) in single precision, whole turns taken off before."""
    return np.exp((2j * np.pi) * (turns - np.round(turns)).astype(np.float32)).astype(np.complex64)
