"""False-alarm rate, its inverse, and the probability of a trigger in noise, with intervals.

The background is counted as it is: triggers that the search calls signals are not removed
from it, so a loud signal can only raise the rates of others.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import chi2, norm

from ligo_cpc_snn.units import YEAR_SECONDS

TAIL_PEAKS = 100  # loudest background peaks that an exponential is fitted to
LEAST_TAIL_PEAKS = 10


class FalseAlarms(NamedTuple):
    """Rates per year with 90 % intervals, and p-values, of triggers.

    `p_value` is the probability that noise gives a trigger as loud or louder within the
    analysed time. `upper_limit` marks rates that are the least the background resolves: no
    peak of it is as loud. `extrapolated` marks those a fit took below.
    """

    far_per_year: Float[np.ndarray, "trigger"]
    ifar_years: Float[np.ndarray, "trigger"]
    far_low_per_year: Float[np.ndarray, "trigger"]
    far_high_per_year: Float[np.ndarray, "trigger"]
    p_value: Float[np.ndarray, "trigger"]
    upper_limit: Bool[np.ndarray, "trigger"]
    extrapolated: Bool[np.ndarray, "trigger"]


def false_alarms(
    statistic: Float[np.ndarray, "trigger"],
    background: Float[np.ndarray, "peak"],
    *,
    background_seconds: float,
    analysed_seconds: float,
    extrapolate: bool = False,
) -> FalseAlarms:
    """Return the false-alarm rates of triggers against a background of clustered peaks.

    FAR = (n + 1) / T_background with n the background peaks as loud or louder, and
    p = 1 - exp(-T_analysed FAR): Usman et al. 2016 (arXiv:1508.02357), eq. 17. The
    interval is Garwood's (1936) of n alone, 90 %, two-sided.

    Args:
        statistic: of the triggers.
        background: clustered peaks of the slides, found as the triggers were.
        background_seconds: live time of the slides.
        analysed_seconds: live time at zero lag.
        extrapolate: where no background peak is as loud, take the rate from an exponential
            through the background's tail, and its interval from the fit.

    Raises:
        ValueError: there is no background, or too little for extrapolation.
    """
    if background_seconds <= 0:
        raise ValueError(
            f"background of {background_seconds:g} s: expected more than 0, raise "
            "background.slides or give longer strain"
        )
    louder = np.sort(background).size - np.searchsorted(np.sort(background), statistic, "left")
    years = background_seconds / YEAR_SECONDS
    far = (louder + 1) / years
    low, high = (limit / years for limit in poisson_interval(louder))
    none_louder = louder == 0
    extrapolated = none_louder & extrapolate
    if extrapolated.any():
        fit = fit_tail(background)
        rate, spread = fit.rate_above(statistic, years)
        far = np.where(extrapolated, np.minimum(rate, far), far)
        low = np.where(extrapolated, far / spread, low)
        high = np.where(extrapolated, far * spread, high)
    p_value = -np.expm1(-far * analysed_seconds / YEAR_SECONDS)
    return FalseAlarms(far, 1 / far, low, high, p_value, none_louder & ~extrapolated, extrapolated)


def poisson_interval(
    count: np.ndarray, confidence: float = 0.9
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Return Garwood's interval of the expectation of a Poisson count.

    Reference: Garwood 1936, Biometrika 28, 437.
    """
    tail = (1 - confidence) / 2
    n = np.asarray(count, np.float64)
    low = np.where(n > 0, chi2.ppf(tail, 2 * np.maximum(n, 1)) / 2, 0.0)
    return low, chi2.ppf(1 - tail, 2 * n + 2) / 2


class Tail(NamedTuple):
    """Exponential tail: `peaks` background peaks above `start`, falling by `scale`."""

    start: float
    scale: float
    peaks: int

    def rate_above(
        self, statistic: Float[np.ndarray, "trigger"], years: float
    ) -> tuple[Float[np.ndarray, "trigger"], Float[np.ndarray, "trigger"]]:
        """Return the rate per year at or above, and the factor to its 90 % limits."""
        depth = (statistic.astype(np.float64) - self.start) / self.scale
        # ln rate = ln peaks - depth: Poisson in `peaks`, and 1 / sqrt(peaks) in the scale.
        sigma = np.sqrt((1 + depth**2) / self.peaks)
        return self.peaks / years * np.exp(-depth), np.exp(norm.ppf(0.95) * sigma)


def fit_tail(background: Float[np.ndarray, "peak"], peaks: int = TAIL_PEAKS) -> Tail:
    """Fit an exponential to the loudest background peaks, by maximum likelihood.

    Raises:
        ValueError: fewer than `LEAST_TAIL_PEAKS` peaks, or all are alike.
    """
    loudest = np.sort(background.astype(np.float64))[::-1]
    used = min(peaks, loudest.size - 1)
    if used < LEAST_TAIL_PEAKS:
        raise ValueError(
            f"background of {loudest.size} peaks: extrapolation needs {LEAST_TAIL_PEAKS + 1}, "
            "lower triggers.threshold, raise background.slides, or set "
            "background.extrapolate=false"
        )
    start = loudest[used]
    scale = float(np.mean(loudest[:used] - start))
    if scale <= 0:
        raise ValueError(
            f"the {used} loudest background peaks are all {start:g}: no tail to extrapolate, "
            "set background.extrapolate=false"
        )
    return Tail(float(start), scale, used)
