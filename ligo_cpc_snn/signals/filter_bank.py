"""Choose, among many whitened signals, few that match them all: a stochastic template bank."""

import logging
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft, signal

log = logging.getLogger(__name__)


class FilterBank(NamedTuple):
    """Chosen signals and how well they match the others.

    `templates` are analytic (the imaginary part is the other quadrature), of unit norm and
    moved so that they match the first one best without a delay: mergers lie at about the same
    sample. `matches` are, for every signal given, its largest match with a template.
    """

    templates: Complex[np.ndarray, "template time"]
    matches: Float[np.ndarray, "signal"]


def choose_templates(
    strain: Float[np.ndarray, "signal time"], count: int, largest_delay: int
) -> FilterBank:
    """Choose `count` signals, each time the one that those chosen match worst.

    A match is the overlap of unit-norm signals, maximised over time and phase.

    Args:
        strain: whitened signals of one detector, mergers at about the same sample; at least
            `count` of them. Signals without power are left out.
        count: templates.
        largest_delay: samples by which a template is moved at most, to match the first.

    Raises:
        ValueError: fewer signals than templates.
    """
    norms = np.linalg.norm(strain, axis=1)
    units = strain[norms > 0] / norms[norms > 0, None]
    if len(units) < count:
        raise ValueError(
            f"{len(units)} signals for {count} templates: raise data.signals.bank_size or lower "
            "model.encoder.features"
        )
    length = fft.next_fast_len(2 * units.shape[1], real=True)
    spectra = fft.rfft(units, length, axis=1, workers=-1).astype(np.complex64)
    # Begin with a signal of median bandwidth: all others are lined up with it.
    chosen = [int(np.argsort(_bandwidths(spectra))[len(units) // 2])]
    matches, reference = np.zeros(len(units), np.float32), spectra[chosen[0]]
    while True:
        matches = np.maximum(matches, _largest_overlaps(spectra, spectra[chosen[-1]], length))
        if len(chosen) == count:
            break
        chosen.append(int(np.argmin(matches)))
    lags = [_lag(spectra[i], reference, length, largest_delay) for i in chosen]
    moved = [_moved(units[i], -lag) for i, lag in zip(chosen, lags, strict=True)]
    log.info(
        "filter bank: %d of %d signals; matches of all: at least %.3f, median %.3f",
        count,
        len(units),
        matches.min(),
        np.median(matches),
    )
    return FilterBank(signal.hilbert(np.stack(moved), axis=1), matches)


def _bandwidths(spectra: np.ndarray) -> np.ndarray:
    power = np.abs(spectra) ** 2
    return power @ np.arange(spectra.shape[1]) / power.sum(axis=1)


def _envelope(spectra: np.ndarray, template: np.ndarray, length: int) -> np.ndarray:
    """Return overlaps with both quadratures, as a modulus, for every delay."""
    one_sided = np.zeros((*spectra.shape[:-1], length), np.complex64)
    one_sided[..., : spectra.shape[-1]] = spectra * template.conj()
    return np.abs(fft.ifft(one_sided, axis=-1, workers=-1)) * 2


def _largest_overlaps(spectra: np.ndarray, template: np.ndarray, length: int) -> np.ndarray:
    parts = np.array_split(spectra, max(1, len(spectra) // 256))
    return np.concatenate([_envelope(part, template, length).max(axis=1) for part in parts])


def _lag(spectrum: np.ndarray, reference: np.ndarray, length: int, largest: int) -> int:
    lags = np.arange(-largest, largest + 1)
    return int(lags[np.argmax(_envelope(spectrum, reference, length)[lags])])


def _moved(strain: np.ndarray, samples: int) -> np.ndarray:
    """Return strain moved to later by `samples`, zeros moving in."""
    moved = np.zeros_like(strain)
    if samples >= 0:
        moved[samples:] = strain[: strain.size - samples]
    else:
        moved[:samples] = strain[-samples:]
    return moved
