"""Programs raced against one of them, in rounds: what is compared are ratios within a round.

A machine that others use is twice as slow for seconds at a time. So all programs run in each
round, in an order that turns, and a candidate's time is divided by the reference's of the same
round. The reference runs twice in each round: the ratio of the two says what the machine's noise
makes of equal programs, and a candidate wins only when it is faster by more than that.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

REFERENCE, TWIN = "reference", "the reference again"
ROUNDS_BEFORE_LEAVING = 2  # after which a program that was slower each time runs no more

Clock = Callable[[], float]


class Program(NamedTuple):
    """Something to time: `call` returns arrays, and does `units` of work."""

    call: Callable[[], Any]
    units: float


class Result(NamedTuple):
    """Seconds per unit (median), and the ratio to the reference: median and quartiles."""

    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int
    won: bool


def race(
    reference: Program,
    candidates: Mapping[str, Program],
    rounds: int,
    clock: Clock = time.perf_counter,
) -> dict[str, Result]:
    """Time candidates and a reference against each other.

    Args:
        rounds: in which each runs once; a candidate whose fastest call is slower than the
            reference's slowest leaves early.
        clock: seconds.

    Returns:
        A result for each candidate and for `TWIN`; the seconds of `REFERENCE` have ratio 1.
    """
    programs = {REFERENCE: reference, TWIN: reference, **candidates}
    for program in {id(p): p for p in programs.values()}.values():
        jax.block_until_ready(program.call())  # pages, caches
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    running = list(programs)
    for number in range(rounds):
        turned = running[number % len(running) :] + running[: number % len(running)]
        for name in turned:
            begun = clock()
            jax.block_until_ready(programs[name].call())
            seconds[name].append((clock() - begun) / programs[name].units)
        if number + 1 >= ROUNDS_BEFORE_LEAVING:
            slowest = max(seconds[REFERENCE] + seconds[TWIN])
            running = [
                name
                for name in running
                if name in (REFERENCE, TWIN) or min(seconds[name]) <= slowest
            ]
    return _results(seconds)


def _results(seconds: Mapping[str, list[float]]) -> dict[str, Result]:
    base = np.asarray(seconds[REFERENCE])
    ratios = {name: np.asarray(s) / base[: len(s)] for name, s in seconds.items()}
    least = float(np.quantile(ratios[TWIN], 0.25))  # of equal programs
    found = {}
    for name, ratio in ratios.items():
        low, middle, high = (float(q) for q in np.quantile(ratio, [0.25, 0.5, 0.75]))
        whole = len(ratio) == len(base)  # else it left: slower
        won = name not in (REFERENCE, TWIN) and whole and high < min(least, 1.0)
        found[name] = Result(float(np.median(seconds[name])), middle, low, high, len(ratio), won)
    return found
