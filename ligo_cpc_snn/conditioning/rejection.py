"""Bad stretches of whitened noise, found by thresholds that the noise itself teaches.

A stretch is bad where its peak-to-peak amplitude or its power in a band is above a
threshold. A threshold is good where the stretches it keeps predict others: of every fold in
turn, the mean power of the kept stretches outside it is compared with the median power
inside it, which glitches hardly move. Too high a threshold keeps glitches, and they spoil
the mean; too low a one keeps quiet stretches only. Each threshold must predict what it is
about: the power of its band, or the squared amplitude.

Two things keep it from rejecting good noise. The median is corrected for its bias in Gaussian
noise, as in Welch's method, otherwise the mean would look better without its upper tail. And
the highest threshold wins whose error is within one standard error of the least.

Reference: the idea is that of Jas et al. 2017, NeuroImage 159, 417 ("autoreject"); the rule
of one standard error: Hastie, Tibshirani and Friedman, Elements of Statistical Learning, 7.10.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from ligo_cpc_snn.conditioning.whitening import HIGH_EDGE, LOW_EDGE

BANDS = 4
GUMBEL_SKEWNESS = 1.1395
FEWEST_PER_FOLD = 8  # stretches, for a median of them
KEPT = 0  # reason of stretches that are not bad; others are 1 + the number of the score


class Stretches(NamedTuple):
    """Whitened noise cut to pieces of one length, and what each is judged by.

    Powers and amplitudes are in units of their medians over the noise that was cut: what
    lines leave in one hour's noise does not make it worse than another's.
    """

    starts: Int[np.ndarray, "stretch"]
    peak_to_peak: Float[np.ndarray, "stretch"]
    band_power: Float[np.ndarray, "stretch band"]

    @property
    def scores(self) -> Float[np.ndarray, "stretch score"]:
        """What thresholds are learned for: peak-to-peak, then the power of each band."""
        return np.column_stack([self.peak_to_peak, self.band_power])


class Thresholds(NamedTuple):
    """Thresholds of one detector, those that were tried, and their cross-validated errors."""

    values: Float[np.ndarray, "score"]
    candidates: Float[np.ndarray, "score candidate"]
    errors: Float[np.ndarray, "score candidate"]


def band_edges(band_hz: tuple[float, float]) -> Float[np.ndarray, "band_edge"]:
    """Return the edges in Hz of bands of equal ratio where whitened noise is flat."""
    low, high = band_hz
    return np.geomspace((1 + LOW_EDGE) * low, (1 - HIGH_EDGE) * high, BANDS + 1)


def measure(
    whitened: Float[np.ndarray, "time"],
    sample_rate_hz: int,
    seconds: float,
    edges: Float[np.ndarray, "band_edge"],
) -> Stretches:
    """Cut whitened noise to stretches and measure them; the last one reaches back.

    Args:
        whitened: Unbroken noise that was whitened with one filter, not constant; if it is
            shorter than a stretch, it is not judged.
        sample_rate_hz: Sample rate in Hz.
        seconds: Length of a stretch in s.
        edges: Of the bands, in Hz.

    Raises:
        ValueError: A band holds no frequency of so short a stretch.
    """
    size = round(seconds * sample_rate_hz)
    bands = [slice(*band) for band in _bins(size, sample_rate_hz, edges)]
    starts = np.arange(0, whitened.size - size + 1, size)
    if whitened.size > size and whitened.size % size:
        starts = np.append(starts, whitened.size - size)
    pieces = [whitened[start : start + size].astype(np.float64) for start in starts]
    spectra = [np.abs(np.fft.rfft(piece)) ** 2 for piece in pieces]
    power = np.array([[spectrum[band].mean() for band in bands] for spectrum in spectra])
    if not pieces:
        return Stretches(starts, np.zeros(0), np.zeros((0, len(bands))))
    amplitude = np.array([np.ptp(piece) for piece in pieces])
    return Stretches(starts, amplitude / np.median(amplitude), power / np.median(power, axis=0))


def median_bias(
    sample_rate_hz: int, seconds: float, edges: Float[np.ndarray, "band_edge"]
) -> Float[np.ndarray, "score"]:
    """Return median over mean of each score's power in white Gaussian noise.

    A band's power is chi-squared. The peak-to-peak of n independent samples is the sum of
    two of Gumbel's variables; as many are independent as the bands let pass.
    """
    size = round(seconds * sample_rate_hz)
    freedom = 2.0 * np.diff(_bins(size, sample_rate_hz, edges), axis=1)[:, 0]
    scale = 1 / np.sqrt(2 * np.log(freedom.sum()))
    mean = 2 * (stats.norm.isf(1 / freedom.sum()) + np.euler_gamma * scale)
    spread = np.pi / np.sqrt(3) * scale
    median = mean - GUMBEL_SKEWNESS / np.sqrt(2) * spread / 6  # Cornish and Fisher's
    amplitude = median**2 / (mean**2 + spread**2)
    return np.array([amplitude, *(stats.chi2.median(freedom) / freedom)])


def learn_threshold(
    scores: Float[np.ndarray, "stretch"],
    power: Float[np.ndarray, "stretch"],
    bias: float,
    *,
    folds: int,
    candidates: int,
) -> tuple[float, Float[np.ndarray, "candidate"], Float[np.ndarray, "candidate"]]:
    """Choose the score up to which stretches are kept, by cross-validation.

    Args:
        scores: What is thresholded, positive.
        power: What kept stretches must predict of others.
        bias: Its median over its mean in good noise.
        folds: Stretch i is in fold i modulo this.
        candidates: Thresholds tried, evenly spaced in their logarithm from the median score
            to the highest, which keeps everything.

    Returns:
        The threshold, the candidates, and the error of each: the relative difference of mean
        and median, without its sign, as a mean over folds.

    Raises:
        ValueError: There are too few stretches for so many folds.
    """
    if scores.size < FEWEST_PER_FOLD * folds:
        raise ValueError(
            f"{scores.size} stretches of noise to learn a threshold from: expected "
            f"{FEWEST_PER_FOLD * folds} or more for data.quality.folds={folds}; give longer "
            "strain, or lower data.quality.stretch_seconds or folds"
        )
    tried = np.geomspace(np.median(scores), scores.max(), candidates)
    tried[-1] = scores.max()  # exactly, so that it keeps everything
    fold = np.arange(scores.size) % folds
    errors = np.stack(
        [_errors(scores, power, bias, tried, fold == number) for number in range(folds)], axis=1
    )
    mean = errors.mean(axis=1)
    best = int(np.argmin(mean))
    allowed = mean[best] + errors[best].std(ddof=1) / np.sqrt(folds)
    return float(tried[np.flatnonzero(mean <= allowed)[-1]]), tried, mean


def learn_thresholds(
    stretches: Stretches, bias: Float[np.ndarray, "score"], *, folds: int, candidates: int
) -> Thresholds:
    """Learn the thresholds of one detector (see `learn_threshold`)."""
    powers = np.column_stack([stretches.peak_to_peak**2, stretches.band_power])
    learned = [
        learn_threshold(score, power, float(ratio), folds=folds, candidates=candidates)
        for score, power, ratio in zip(stretches.scores.T, powers.T, bias, strict=True)
    ]
    values, tried, errors = zip(*learned, strict=True)
    return Thresholds(np.array(values), np.stack(tried), np.stack(errors))


def judge(stretches: Stretches, values: Float[np.ndarray, "score"]) -> Int[np.ndarray, "stretch"]:
    """Return `KEPT`, or 1 + the number of the score that is furthest above its threshold."""
    excess = stretches.scores / values
    return np.where(excess.max(axis=1) > 1, 1 + excess.argmax(axis=1), KEPT)


def _errors(
    scores: Float[np.ndarray, "stretch"],
    power: Float[np.ndarray, "stretch"],
    bias: float,
    tried: Float[np.ndarray, "candidate"],
    held_out: Bool[np.ndarray, "stretch"],
) -> Float[np.ndarray, "candidate"]:
    """Return each candidate's error of predicting one fold from the others."""
    expected = np.median(power[held_out]) / bias
    # In order of their score, what a candidate keeps are the first ones.
    order = np.argsort(scores[~held_out], kind="stable")
    number = np.searchsorted(scores[~held_out][order], tried, side="right")
    sums = np.cumsum(power[~held_out][order])
    errors = np.full(tried.size, np.inf)  # of one that keeps nothing
    some = number > 0
    errors[some] = np.abs(sums[number[some] - 1] / number[some] / expected - 1)
    return errors


def _bins(
    size: int, sample_rate_hz: int, edges: Float[np.ndarray, "band_edge"]
) -> Int[np.ndarray, "band 2"]:
    """Return the first frequency of each band and the one after its last."""
    frequencies = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    at = np.searchsorted(frequencies, edges)
    if np.any(np.diff(at) < 1):
        raise ValueError(
            f"a band of {edges[0]:.3g} to {edges[1]:.3g} Hz holds no frequency of a stretch of "
            f"{size / sample_rate_hz:g} s: raise data.quality.stretch_seconds"
        )
    return np.stack([at[:-1], at[1:]], axis=1)
