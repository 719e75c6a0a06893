"""Time functions against each other in one process, and against a reference among them.

The machine's speed changes from minute to minute; what lasts is how much longer one function
takes than another that was called in the same round.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

# Threads of another library spin for a while after its last call, on the cores we measure on.
SETTLING_SECONDS = 0.003

Functions = Mapping[str, Callable[[], Any]]


class Timing(NamedTuple):
    """Seconds of a call, median and quartiles; and of its time over the reference's of a round.

    `rounds` are the seconds of each call, in the order of the rounds.
    """

    median: float
    low: float
    high: float
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    rounds: tuple[float, ...] = ()


def time_together(
    functions: Functions, repeats: int, warm_up: int = 3, reference: str | None = None
) -> dict[str, Timing]:
    """Time each function `repeats` times, taking turns so that all meet the same noise.

    Each round has an order of its own: what a function leaves in the caches is met by another.

    Args:
        functions: each returns when its work is done, or arrays of JAX, which are waited for.
        repeats: timed calls of each.
        warm_up: calls of each that are not timed.
        reference: name of the function that the others are divided by, round by round.
    """
    for function in functions.values():
        for _ in range(warm_up):
            jax.block_until_ready(function())
    order, seconds = np.random.default_rng(0), np.zeros((repeats, len(functions)))
    called = list(functions.values())
    for of_round in seconds:
        for i in order.permutation(len(called)):
            time.sleep(SETTLING_SECONDS)
            begun = time.perf_counter()
            jax.block_until_ready(called[i]())
            of_round[i] = time.perf_counter() - begun
    names = list(functions)
    over = None if reference is None else seconds / seconds[:, [names.index(reference)]]
    found = {}
    for i, name in enumerate(names):
        timing = Timing(*_quartiles(seconds[:, i]), rounds=tuple(seconds[:, i].tolist()))
        if over is not None:
            ratio, low, high = _quartiles(over[:, i])
            timing = timing._replace(ratio=ratio, ratio_low=low, ratio_high=high)
        found[name] = timing
    return found


def _quartiles(numbers: np.ndarray) -> tuple[float, float, float]:
    median, low, high = map(float, np.quantile(numbers, [0.5, 0.25, 0.75]))
    return median, low, high
