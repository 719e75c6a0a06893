"""Sensitive volume and distance of a search, as the mock data challenge MLGWSC-1 defines them.

Reference: Schäfer et al. 2023, PRD 107, 023021, eqs. 3-6; its program `evaluate.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ligo_cpc_snn.evaluation.challenge import Table
from ligo_cpc_snn.evaluation.found import wilson
from ligo_cpc_snn.evaluation.matching import FalseAlarms, false_alarms_at
from ligo_cpc_snn.evaluation.metrics import Estimate, UnresolvedRateError
from ligo_cpc_snn.signals.masses import chirp_mass

UNIFORM_IN = "uniform_in"  # attribute of injections: chirp_distance or distance
LIMITS = ("largest_distance", "largest_chirp_mass")  # attributes: of a month's injections


@dataclass(frozen=True)
class Sensitivity:
    """What a search reaches at one threshold.

    Volume in Mpc^3, distance in Mpc; their errors are one standard deviation, of the
    finite number of injections only, and NaN where nothing was found.
    """

    found: int
    injections: int
    fraction: Estimate
    volume: float
    volume_error: float
    distance: float
    distance_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers, null for what is not known."""
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def volume_shares(
    table: Table, attributes: Mapping[str, Any], *, of_month: bool = False
) -> Float[np.ndarray, "injection"]:
    """Return the volume in Mpc^3 that each injection adds when it is found.

    Of sources drawn uniformly in the volume of chirp distances, one of chirp mass Mc stands
    for 4/3 pi d_max^3 (Mc / Mc_max)^(5/2) / N; of luminosity distances, each for the same.

    Args:
        table: `tc`, `distance`, `mass1`, `mass2` of all N injections.
        attributes: Of their file. Without `uniform_in` they are taken as the challenge's if
            they have `chirp_distance`.
        of_month: Take d_max and Mc_max from the attributes, as a month of injections has them.
            The challenge's program takes the largest that were injected, in its month the
            same; of few injections they are less, and so is the distance.

    Raises:
        ValueError: The distances are not uniform in a volume, or limits are not known.
    """
    masses = chirp_mass(table["mass1"], table["mass2"])
    uniform_in = attributes.get(
        UNIFORM_IN, "chirp_distance" if "chirp_distance" in table else "unknown"
    )
    if uniform_in not in ("chirp_distance", "distance"):
        raise ValueError(
            f"injections are uniform in {uniform_in!r}: the sensitive volume needs distances "
            "drawn uniformly in volume, use data.signals.population.distance of kind power_law "
            "and index 2"
        )
    if of_month:
        missing = [name for name in LIMITS if name not in attributes]
        if missing:
            raise ValueError(f"injections have no attribute {', '.join(missing)}")
        farthest, heaviest = (float(attributes[name]) for name in LIMITS)
    else:
        farthest, heaviest = float(table["distance"].max()), float(masses.max())
    whole = 4 / 3 * np.pi * farthest**3 / masses.size
    if uniform_in == "distance":
        return np.full(masses.size, whole)
    return whole * (masses / heaviest) ** 2.5


def sensitivity(
    found: Bool[np.ndarray, "injection"], shares: Float[np.ndarray, "injection"]
) -> Sensitivity:
    """Return volume and distance that a search reaches.

    The variance of the sum is N times that of its terms; dD / D = dV / (3 V).

    Args:
        found: Whether each injection was found.
        shares: What each adds to the volume (`volume_shares`).
    """
    if found.size < 2:
        raise ValueError(f"{found.size} injections: expected two or more for an error")
    terms = np.where(found, shares, 0.0)
    volume = float(terms.sum())
    distance = float((3 * volume / (4 * np.pi)) ** (1 / 3))
    error = float(np.sqrt(terms.size * terms.var(ddof=1))) if volume > 0 else np.nan
    fraction = wilson(int(found.sum()), found.size)
    return Sensitivity(
        int(found.sum()),
        found.size,
        fraction,
        volume,
        error,
        distance,
        distance * error / (3 * volume) if volume > 0 else np.nan,
    )


@dataclass(frozen=True)
class SensitivityCurve:
    """Sensitivity against the rate of false alarms; `refused` are rates that were not resolved."""

    points: list[tuple[FalseAlarms, Sensitivity]]
    refused: dict[str, str]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the curve as columns."""
        rows = self.points
        return {
            "per_month": np.array([alarms.per_month for alarms, _ in rows]),
            "threshold": np.array([alarms.threshold for alarms, _ in rows]),
            "volume": np.array([reach.volume for _, reach in rows]),
            "volume_error": np.array([reach.volume_error for _, reach in rows]),
            "distance": np.array([reach.distance for _, reach in rows]),
            "distance_error": np.array([reach.distance_error for _, reach in rows]),
            "fraction": np.array([reach.fraction.value for _, reach in rows]),
            "fraction_low": np.array([reach.fraction.low for _, reach in rows]),
            "fraction_high": np.array([reach.fraction.high for _, reach in rows]),
        }


def sensitivity_curve(
    loudness: Float[np.ndarray, "injection"],
    shares: Float[np.ndarray, "injection"],
    background: Float[np.ndarray, "event"],
    seconds: float,
    per_month: Sequence[float] | Float[np.ndarray, "rate"],
) -> SensitivityCurve:
    """Return what a search reaches at each rate of false alarms.

    Args:
        loudness: Statistic of each injection's loudest event, -inf without one.
        shares: Of `volume_shares`.
        background: Statistics of the background's events.
        seconds: Time of the background.
        per_month: Rates of false alarms in 30 days.
    """
    points, refused = [], {}
    for rate in per_month:
        try:
            alarms = false_alarms_at(background, seconds, float(rate))
        except UnresolvedRateError as error:
            refused[f"{rate:g}"] = str(error)
            continue
        points.append((alarms, sensitivity(loudness > alarms.threshold, shares)))
    return SensitivityCurve(points, refused)
