"""ROC, AUC and true-positive rates at fixed false-positive rates, with intervals.

A window is called positive when its score is strictly above the threshold. All
intervals are two-sided at `CONFIDENCE`.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95
# A threshold that fewer noise windows exceed has a relative error above 1/sqrt(10).
MINIMUM_FALSE_POSITIVES = 10


class UnresolvedRateError(ValueError):
    """The noise windows are too few to set a threshold at the false-positive rate asked for."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with its confidence interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Roc:
    """Points of a receiver operating characteristic, from (0, 0) to (1, 1)."""

    false_positive_rates: Float[np.ndarray, " points"]
    true_positive_rates: Float[np.ndarray, " points"]
    thresholds: Float[np.ndarray, " points"]

    def to_dict(self) -> dict[str, list[float]]:
        """Return the fields as lists; the first threshold is infinite and written as null."""
        lists: dict[str, Any] = {name: value.tolist() for name, value in vars(self).items()}
        lists["thresholds"][0] = None
        return lists


@dataclass(frozen=True)
class Threshold:
    """A score threshold set on noise, and the false-positive rate it truly has there."""

    value: float
    nominal_rate: float
    rate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers."""
        return asdict(self)


def _scores(scores: ArrayLike, name: str) -> Float[np.ndarray, " n"]:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: expected (n,) with n >= 1")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{name} holds {bad} non-finite of {array.size} scores: expected finite logits, "
            "find out which windows the model fails on"
        )
    return array


def binomial_estimate(successes: int, trials: int) -> Estimate:
    """Return a proportion with its exact (Clopper-Pearson) interval.

    Reference: Clopper & Pearson 1934, Biometrika 26, 404, through `scipy.stats.binomtest`.
    """
    interval = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="exact")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def roc(noise_scores: ArrayLike, signal_scores: ArrayLike) -> Roc:
    """Return the ROC of scores, one point per distinct score.

    Args:
        noise_scores: (n,) scores of windows without a signal.
        signal_scores: (m,) scores of windows with a signal.

    Returns:
        Rates of windows at or above each distinct score, loudest first, after the point (0, 0).
    """
    noise = np.sort(_scores(noise_scores, "noise_scores"))
    signal = np.sort(_scores(signal_scores, "signal_scores"))
    thresholds = np.unique(np.concatenate([noise, signal]))[::-1]

    def reached(ordered: Float[np.ndarray, " n"]) -> Float[np.ndarray, " points"]:
        below = np.searchsorted(ordered, thresholds, side="left")
        return np.concatenate([[0.0], 1 - below / ordered.size])

    return Roc(reached(noise), reached(signal), np.concatenate([[np.inf], thresholds]))


def _placements(
    noise: Float[np.ndarray, " n"], signal: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Fraction of signals above each noise score, and of noise below each signal; ties half."""
    ranks = stats.rankdata(np.concatenate([noise, signal]))
    own_noise, own_signal = stats.rankdata(noise), stats.rankdata(signal)
    signal_above = 1 - (ranks[: noise.size] - own_noise) / signal.size
    noise_below = (ranks[noise.size :] - own_signal) / noise.size
    return signal_above, noise_below


def auc(noise_scores: ArrayLike, signal_scores: ArrayLike) -> Estimate:
    """Return the area under the ROC: the chance that a signal outranks noise, ties counting half.

    The interval is DeLong's on the logit scale, so it stays inside [0, 1]. Where the variance
    vanishes because every pair is ordered alike, it is the exact binomial interval of the
    min(n, m) disjoint pairs.

    Args:
        noise_scores: (n,) scores of windows without a signal.
        signal_scores: (m,) scores of windows with a signal.

    Raises:
        ValueError: fewer than two windows of a kind, or non-finite scores.

    Reference: DeLong et al. 1988, Biometrics 44, 837; ranks as in Sun & Xu 2014, IEEE SPL 21,
        1389, eq. 8-12. The logit transform is ours.
    """
    noise, signal = _scores(noise_scores, "noise_scores"), _scores(signal_scores, "signal_scores")
    if min(noise.size, signal.size) < 2:
        raise ValueError(
            f"AUC of {noise.size} noise and {signal.size} signal windows: expected at least 2 of "
            "each, raise evaluation.windows and evaluation.signal_windows"
        )
    signal_above, noise_below = _placements(noise, signal)
    area = float(np.mean(noise_below))
    variance = np.var(signal_above, ddof=1) / noise.size + np.var(noise_below, ddof=1) / signal.size
    if area in (0.0, 1.0):
        pairs = min(noise.size, signal.size)
        return binomial_estimate(pairs if area else 0, pairs)
    logit = np.log(area / (1 - area))
    spread = stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance) / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(logit + spread * np.array([-1.0, 1.0]))))
    return Estimate(area, float(low), float(high))


def threshold_at(noise_scores: ArrayLike, false_positive_rate: float) -> Threshold:
    """Return the lowest noise score that at most `false_positive_rate` of the noise exceeds.

    Args:
        noise_scores: (n,) scores of windows without a signal.
        false_positive_rate: per window, in (0, 1).

    Raises:
        UnresolvedRateError: fewer than `MINIMUM_FALSE_POSITIVES` noise windows are expected
            above the threshold.
    """
    noise = np.sort(_scores(noise_scores, "noise_scores"))
    if not 0 < false_positive_rate < 1:
        raise ValueError(f"false-positive rate {false_positive_rate}: expected 0 < rate < 1")
    # The small term keeps 0.1 * 30 = 3.0000000000000004 and 0.29 * 100 = 28.999... whole.
    expected = false_positive_rate * noise.size * (1 + 1e-12)
    if expected < MINIMUM_FALSE_POSITIVES:
        needed = int(np.ceil(MINIMUM_FALSE_POSITIVES / false_positive_rate * (1 - 1e-12)))
        raise UnresolvedRateError(
            f"false-positive rate {false_positive_rate:g} cannot be resolved by {noise.size} noise "
            f"windows (expected: at least {MINIMUM_FALSE_POSITIVES} above the threshold): use "
            f"{needed} or more, or a higher rate"
        )
    value = float(noise[noise.size - 1 - int(expected)])
    above = int(np.count_nonzero(noise > value))
    return Threshold(value, false_positive_rate, binomial_estimate(above, noise.size))


def true_positive_rate(
    noise_scores: ArrayLike, signal_scores: ArrayLike, false_positive_rate: float
) -> Estimate:
    """Return the fraction of signals found at a threshold set on noise.

    The interval is Clopper-Pearson's for the number of signals at that threshold; how well the
    noise fixes the threshold is the `rate` of `threshold_at`.

    Raises:
        UnresolvedRateError: the noise windows cannot resolve the rate.
    """
    threshold = threshold_at(noise_scores, false_positive_rate)
    return fraction_above(signal_scores, threshold.value)


def fraction_above(scores: ArrayLike, threshold: float) -> Estimate:
    """Return the fraction of scores strictly above a threshold, with its interval."""
    array = _scores(scores, "scores")
    return binomial_estimate(int(np.count_nonzero(array > threshold)), array.size)
