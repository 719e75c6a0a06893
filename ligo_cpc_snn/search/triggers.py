"""Triggers: the moments at which the statistic says that something was there."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Triggers(NamedTuple):
    """Clustered peaks of the statistic, in the order of time.

    `gps` is the estimated time of the merger at the geocentre, s; `contributions` what each
    detector's strain adds to the statistic.
    """

    gps: Float[np.ndarray, "trigger"]
    statistic: Float[np.ndarray, "trigger"]
    contributions: Float[np.ndarray, "trigger detector"]
