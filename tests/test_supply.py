"""Banks in the background: the right ones at each step, whatever the timing and the faults."""

import logging
import threading
import time
import traceback
from contextlib import closing

import pytest

from ligo_cpc_snn.dataset.supply import FixedSupply, RefreshedSupply
from ligo_cpc_snn.training.services import Supply

PATIENCE = 20.0  # s; a test that waits longer has failed


class Stop:
    requested = False


class Maker:
    """Banks are their generation's number; tells what was made and may be held up."""

    def __init__(self, parts: int = 4) -> None:
        self.parts, self.begun, self.done = parts, [], []
        self.made = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, generation: int, pace) -> int:
        self.begun.append(generation)
        for part in range(self.parts):
            assert self.gate.wait(PATIENCE)
            pace((part + 1) / self.parts)
            self.done.append((generation, part))
        self.made.release()
        return generation


def supply_of(make, every=5, **more) -> closing[RefreshedSupply]:
    return closing(RefreshedSupply(make, every, **more))


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_step_gets_its_own_generation_whatever_the_timing():
    make = Maker()
    with supply_of(make) as supply:
        assert isinstance(supply, Supply)
        for step in range(23):
            assert supply.at(step, Stop()) == step // 5
            time.sleep(0.002 * (step % 3))


def test_the_next_generation_is_made_while_this_one_is_in_use():
    make = Maker()
    with supply_of(make) as supply:
        assert make.begun == [0]
        assert make.made.acquire(timeout=PATIENCE)
        for step in range(5):
            assert supply.at(step, Stop()) == 0
        assert make.made.acquire(timeout=PATIENCE)  # before step 5 is asked for
        assert make.begun == [0, 1]


def test_the_work_is_spread_over_the_steps():
    make = Maker(parts=4)
    with supply_of(make, every=100) as supply:
        for step, parts in ((0, 0), (30, 1), (50, 2), (70, 3), (90, 4)):
            supply.at(step, Stop())
            wait_until(lambda parts=parts: sum(g == 1 for g, _ in make.done) == parts)
            time.sleep(0.02)
            assert sum(generation == 1 for generation, _ in make.done) == parts


def test_a_run_that_goes_on_begins_with_its_generation():
    make = Maker()
    with supply_of(make, first=3) as supply:
        assert supply.at(17, Stop()) == 3
        assert supply.at(20, Stop()) == 4
        assert supply.at(2, Stop()) == 0  # of an older checkpoint than was looked for
        assert supply.at(5, Stop()) == 1
    assert make.begun[:3] == [3, 4, 5]


def test_nothing_is_made_for_steps_that_never_come():
    make = Maker()
    with supply_of(make, last_step=10) as supply:
        for step in range(10):
            supply.at(step, Stop())
    assert make.begun == [0, 1]


def test_a_slow_generation_is_waited_for_and_the_wait_is_told(caplog):
    make = Maker()
    with caplog.at_level(logging.INFO), supply_of(make) as supply:
        supply.at(0, Stop())
        make.gate.clear()
        threading.Timer(0.3, make.gate.set).start()
        assert supply.at(5, Stop()) == 1
    assert sum("for the banks of generation 1" in r.message for r in caplog.records) == 1


def failing(generation: int, pace) -> int:
    if generation:
        raise ValueError("these strain files are gone")
    return generation


def test_an_error_in_the_background_ends_the_run_with_its_own_traceback():
    with supply_of(failing, every=1000) as supply:
        supply.at(0, Stop())
        wait_until(lambda: supply._next[1].done())
        with pytest.raises(ValueError, match="strain files are gone") as error:
            supply.at(1, Stop())  # at the next step, not only when the bank is needed
    text = "".join(traceback.format_exception(error.value))
    assert "in failing" in text
    assert "training banks of generation 1" in text


def test_an_error_is_not_lost_when_the_bank_is_waited_for():
    with supply_of(failing) as supply:
        supply.at(4, Stop())
        with pytest.raises(ValueError, match="strain files are gone"):
            supply.at(5, Stop())


def test_a_run_asked_to_stop_does_not_wait_for_a_bank():
    make, stop = Maker(), Stop()
    with supply_of(make) as supply:
        supply.at(0, stop)
        make.gate.clear()
        stop.requested = True
        assert supply.at(5, stop) is None
        make.gate.set()


def test_closing_ends_the_thread_in_the_middle_of_a_bank():
    make = Maker(parts=10**6)
    before = threading.active_count()
    first = Maker(parts=1)
    supply = RefreshedSupply(lambda g, pace: (make if g else first)(g, pace), 10**6)
    supply.at(0, Stop())
    wait_until(lambda: make.begun == [1])
    supply.close()
    assert threading.active_count() == before
    assert len(make.done) < 10


def test_noise_is_renewed_at_a_generations_first_step_only():
    with supply_of(Maker(), noise=True) as supply:
        assert [step for step in range(12) if supply.renews_noise(step)] == [5, 10]
    with supply_of(Maker()) as supply:
        assert not any(supply.renews_noise(step) for step in range(12))


def test_fixed_banks_are_the_same_at_every_step():
    banks = object()
    supply = FixedSupply(banks)
    assert isinstance(supply, Supply)
    assert supply.at(0, Stop()) is supply.at(99, Stop()) is banks
    assert not supply.renews_noise(99)
    supply.close()
