"""Which injections a search found, and how loud an event must be at a rate of false alarms."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ligo_cpc_snn.evaluation.challenge import Events
from ligo_cpc_snn.evaluation.metrics import UnresolvedRateError
from ligo_cpc_snn.search.false_alarms import poisson_interval

MONTH_SECONDS = 30 * 86400.0  # the challenge's month


class Matched(NamedTuple):
    """The loudest event of each injection.

    `statistic` is -inf and `offset_seconds` (event's time minus injection's) NaN where an
    injection has none; `false` marks the events that belong to no injection.
    """

    statistic: Float[np.ndarray, "injection"]
    offset_seconds: Float[np.ndarray, "injection"]
    false: Bool[np.ndarray, "event"]


def match(events: Events, injected_gps: Float[np.ndarray, "injection"]) -> Matched:
    """Give each injection the loudest event that claims a time within its tolerance of it.

    An event belongs to the nearest injection only.

    Args:
        events: Of the foreground, in any order.
        injected_gps: Times of the injections in s, in any order.
    """
    statistic = np.full(injected_gps.size, -np.inf)
    offset = np.full(injected_gps.size, np.nan)
    nearest = _nearest(events.gps, injected_gps)
    away = events.gps - injected_gps[nearest]
    true = np.abs(away) <= events.tolerance
    # From quiet to loud: what is written last stays.
    order = np.flatnonzero(true)[np.argsort(events.statistic[true], kind="stable")]
    statistic[nearest[order]] = events.statistic[order]
    offset[nearest[order]] = away[order]
    return Matched(statistic, offset, ~true)


def _nearest(
    times: Float[np.ndarray, "event"], injected: Float[np.ndarray, "injection"]
) -> np.ndarray:
    order = np.argsort(injected)
    after = np.searchsorted(injected[order], times)
    left = order[np.clip(after - 1, 0, injected.size - 1)]
    right = order[np.clip(after, 0, injected.size - 1)]
    return np.where(np.abs(times - injected[left]) <= np.abs(times - injected[right]), left, right)


@dataclass(frozen=True)
class FalseAlarms:
    """A threshold that at most the rate asked for exceeds.

    `above` background events are strictly above `threshold`; `low` and `high` bound the true
    rate there at 90 %. `exhausted`: there are not as many events, -inf lets all of them pass.
    """

    asked_per_month: float
    threshold: float
    above: int
    per_month: float
    low: float
    high: float
    exhausted: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers, null for an infinite threshold."""
        return asdict(self) | {"threshold": None if self.exhausted else self.threshold}


def alarms_allowed(seconds: float, per_month: float) -> int:
    """Return how many false alarms a rate allows in the time observed, at least one.

    Args:
        seconds: Time observed.
        per_month: False alarms in 30 days.

    Raises:
        UnresolvedRateError: Fewer than one such event is expected in the time observed.
    """
    months = seconds / MONTH_SECONDS
    allowed = int(per_month * months * (1 + 1e-9))
    if allowed < 1:
        raise UnresolvedRateError(
            f"{per_month:g} false alarms a month cannot be resolved by {seconds:g} s of "
            f"background, which resolves {1 / months:g} and above: make it "
            f"{MONTH_SECONDS / per_month:g} s or longer (background_seconds)"
        )
    return allowed


def false_alarms_at(
    background: Float[np.ndarray, "event"], seconds: float, per_month: float
) -> FalseAlarms:
    """Return the lowest threshold whose false-alarm rate is at most the one asked for.

    The rate of a statistic is the number of background events above it over the time
    observed.

    Args:
        background: Statistics of the events of a background, in any order.
        seconds: Time observed.
        per_month: False alarms in 30 days.

    Raises:
        UnresolvedRateError: Fewer than one such event is expected in the time observed.
    """
    months, allowed = seconds / MONTH_SECONDS, alarms_allowed(seconds, per_month)
    loudest_first = np.sort(background)[::-1]
    exhausted = allowed >= loudest_first.size
    threshold = -np.inf if exhausted else float(loudest_first[allowed])
    above = int(np.count_nonzero(background > threshold))
    low, high = (float(bound[0]) for bound in poisson_interval(np.array([above])))
    return FalseAlarms(
        per_month, threshold, above, above / months, low / months, high / months, exhausted
    )


def rate_grid(
    background: Float[np.ndarray, "event"], seconds: float, points: int = 120
) -> Float[np.ndarray, "rate"]:
    """Return rates per month from the lowest that is resolved to that of all events."""
    most = max(background.size, 1)
    counts = np.unique(np.geomspace(1, most, points).round())
    return counts * MONTH_SECONDS / seconds
