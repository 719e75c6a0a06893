"""Time functions against each other in one process."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np


class Timing(NamedTuple):
    """Seconds of a call: the median and the quartiles."""

    median: float
    low: float
    high: float


def time_together(
    functions: Mapping[str, Callable[[], Any]], repeats: int, warm_up: int = 3
) -> dict[str, Timing]:
    """Time each function `repeats` times, taking turns so that all meet the same noise.

    Args:
        functions: each returns arrays, which are waited for.
        repeats: timed calls of each.
        warm_up: calls of each that are not timed.
    """
    for function in functions.values():
        for _ in range(warm_up):
            jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            begun = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name].append(time.perf_counter() - begun)
    quartiles = {name: np.quantile(s, [0.5, 0.25, 0.75]) for name, s in seconds.items()}
    return {name: Timing(*map(float, q)) for name, q in quartiles.items()}
