"""Races by ratios within rounds: what is faster wins, what is equal does not, whatever the noise.

Time is simulated: no test here depends on the machine.
"""

import numpy as np
import pytest

from ligo_cpc_snn.wiring.optimize_agreement import TOLERANCE, difference, tolerance
from ligo_cpc_snn.wiring.optimize_rounds import REFERENCE, TWIN, Program, race


class Machine:
    """A clock that programs move on; others slow it down for some rounds at a time."""

    def __init__(self, noise: float = 0.0, slow: float = 1.0, seed: int = 0) -> None:
        self.now, self.calls = 0.0, dict[str, int]()
        self.rng, self.noise, self.slow = np.random.default_rng(seed), noise, slow

    def clock(self) -> float:
        return self.now

    def program(self, name: str, seconds: float, units: float = 1.0) -> Program:
        def call() -> np.ndarray:
            self.calls[name] = self.calls.get(name, 0) + 1
            others = self.slow if sum(self.calls.values()) // 12 % 2 else 1.0
            self.now += seconds * units * others * np.exp(self.noise * self.rng.normal())
            return np.zeros(1)

        return Program(call, units)


def test_the_faster_program_wins_by_its_ratio():
    machine = Machine(noise=0.05, slow=2.0)
    got = race(
        machine.program("first", 1.0),
        {"faster": machine.program("faster", 0.7), "slower": machine.program("slower", 1.05)},
        9,
        machine.clock,
    )
    assert got["faster"].won
    assert not got["slower"].won
    assert got["faster"].ratio == pytest.approx(0.7, rel=0.15)
    assert got[REFERENCE].ratio == 1.0


def test_units_of_work_are_counted():
    machine = Machine()
    reference, many = machine.program("one", 1.0), machine.program("eight", 0.5, units=8)
    got = race(reference, {"eight": many}, 5, machine.clock)
    assert got["eight"].seconds == pytest.approx(0.5)
    assert got["eight"].ratio == pytest.approx(0.5)


def test_equal_programs_hardly_ever_win():
    won = 0
    for seed in range(200):
        machine = Machine(noise=0.2, slow=3.0, seed=seed)
        equal = {"equal": machine.program("equal", 1.0)}
        won += race(machine.program("first", 1.0), equal, 9, machine.clock)["equal"].won
    assert won < 10  # of 200


def test_neither_the_reference_nor_its_twin_wins():
    machine = Machine(noise=0.5)
    got = race(machine.program("first", 1.0), {}, 9, machine.clock)
    assert set(got) == {REFERENCE, TWIN}
    assert not any(result.won for result in got.values())


def test_a_ruinous_program_runs_no_more_after_two_rounds():
    machine = Machine()
    got = race(
        machine.program("first", 1.0), {"slow": machine.program("slow", 20.0)}, 9, machine.clock
    )
    assert machine.calls["slow"] == 3  # once before the rounds
    assert got["slow"].rounds == 2
    assert not got["slow"].won
    assert got[TWIN].rounds == 9


def test_difference_is_relative_and_sees_one_wrong_number():
    expected = {"a": np.ones(50), "b": np.full((5, 10), 2.0)}
    assert difference(expected, expected) == 0.0
    wrong = {"a": np.ones(50), "b": expected["b"].copy()}
    wrong["b"][3, 3] += 1.0
    assert difference(wrong, expected) == pytest.approx(1 / np.sqrt(250))
    wrong["b"][3, 3] = np.nan
    assert difference(wrong, expected) == np.inf
    assert difference(np.zeros(3), np.zeros(3)) == 0.0
    assert difference(np.ones(3), np.zeros(3)) == np.inf


def test_a_statistic_is_judged_by_its_spread():
    statistic = 100 + np.linspace(-1, 1, 101)
    assert difference(statistic + 0.1, statistic) < 2e-3
    assert difference(statistic + 0.1, statistic, about_mean=True) > 0.1


def test_another_number_of_values_is_no_comparison():
    with pytest.raises(ValueError, match="3 numbers are compared with 4"):
        difference(np.zeros(3), np.zeros(4))


def test_each_precision_has_a_tolerance():
    assert tolerance({"precision": "float32"}) == TOLERANCE["float32"]
    assert tolerance({"slides_at_a_time": 4}) == TOLERANCE["float32"]
    assert tolerance({"precision": "bfloat16"}) > TOLERANCE["float32"]
