"""Interrupts: signals reach the loop between steps, and a kill never costs a checkpoint."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from ligo_cpc_snn.stopping import stoppable
from ligo_cpc_snn.training.interrupts import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_only_sets_the_flag(number, capfd):
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        assert not interrupts.requested
        assert interrupts.signal is None
        os.kill(os.getpid(), number)
        assert interrupts.requested
        assert interrupts.signal is number
    assert signal.getsignal(number) is before
    assert "steps made are saved" in capfd.readouterr().err


def test_where_nothing_needs_saving_a_signal_ends_it_at_once():
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt), interrupts.leaving():
            os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.signal is signal.SIGTERM
        with pytest.raises(KeyboardInterrupt), interrupts.leaving():
            pytest.fail("begun although asked to stop")
        os.kill(os.getpid(), signal.SIGTERM)  # as ever, where there is something to save


@pytest.fixture
def heard():
    """Ctrl-C as in a terminal: the workers of pytest-xdist ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Dropping:
    """Its destructor is asked to stop: what a handler raises there, Python drops."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)


def go_on(seconds: float) -> None:
    """Work in Python; nothing waits for a signal."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(100))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_that_python_drops_is_asked_for_again(number, monkeypatch):
    ignored, ended = [], []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)

    def work() -> None:
        Dropping(number)
        go_on(30)
        ended.append(True)

    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt), interrupts.leaving():
            work()
        assert interrupts.signal is number
        assert ended == []
        # It was one press: the run may still save.
        os.kill(os.getpid(), signal.SIGTERM)
    assert ignored == []


def test_a_command_is_stopped_though_python_drops_it(heard, capsys):
    def work() -> int:
        Dropping(signal.SIGINT)
        go_on(30)
        return 0

    assert stoppable(work, "stopped: nothing is kept") == 130
    assert capsys.readouterr().err == "stopped: nothing is kept\n"


def test_a_callback_of_the_garbage_collector_costs_no_stop(heard):
    """JAX has one."""
    pressed = []

    def press(phase: str, told: dict[str, int]) -> None:
        if not pressed:
            pressed.append(phase)
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(100))  # the handler is called here

    def work() -> int:
        gc.collect()
        go_on(30)
        return 0

    gc.callbacks.append(press)
    try:
        assert stoppable(work) == 130
    finally:
        gc.callbacks.remove(press)
    assert pressed


def test_other_errors_of_destructors_are_shown_as_ever(monkeypatch):
    class Broken:
        def __del__(self) -> None:
            raise ZeroDivisionError

    def work() -> int:
        Broken()
        return 3

    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    hook = sys.unraisablehook
    assert stoppable(work) == 3
    assert [type(each.exc_value) for each in ignored] == [ZeroDivisionError]
    assert sys.unraisablehook is hook


def test_terminating_twice_is_still_graceful():
    with Interrupts() as interrupts:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.signal is signal.SIGTERM


def test_handlers_come_back_after_an_error():
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), Interrupts():
        _ = 1 / 0
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_nothing_happens():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work() -> None:
        with Interrupts() as interrupts:
            seen.append((interrupts.requested, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


LOOP = """
import sys, time
from pathlib import Path
import jax.numpy as jnp, numpy as np
from ligo_cpc_snn.config.schema import CheckpointConfig
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.interrupts import Interrupts

patience = float(sys.argv[2])
state = {"w": jnp.zeros(100_000)}
with Checkpoints(Path(sys.argv[1]), CheckpointConfig()) as checkpoints, Interrupts() as interrupts:
    found = checkpoints.restore_latest(state)
    state, step = found if found else (state, 0)
    print("START", step, float(state["w"][0]), flush=True)
    while not interrupts.requested or time.sleep(patience):
        state = {"w": state["w"] + 1}
        step += 1
        if step % 10 == 0:
            checkpoints.save(step, state, {}, {})
        print("STEP", step, flush=True)
    checkpoints.save(step, state, {}, {})
print("SAVED", step, flush=True)
sys.exit(0 if interrupts.signal is None else 128 + interrupts.signal)
"""


def start(folder, patience=0.0) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LOOP), str(folder), str(patience)],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_to(process: subprocess.Popen, word: str) -> str:
    for line in process.stdout:
        if line.startswith(word):
            return line.strip()
    raise AssertionError(process.stderr.read()[-3000:])


def start_of(process: subprocess.Popen) -> int:
    _, step, value = read_to(process, "START").split()
    assert float(value) == int(step)  # the state is that of its step
    return int(step)


def test_a_run_stopped_by_signals_or_killed_goes_on_where_it_was_saved(tmp_path):
    """SIGTERM, Ctrl-C, kill -9 and a second Ctrl-C, each continued by the next."""
    process = start(tmp_path)
    assert start_of(process) == 0
    read_to(process, "STEP 15")
    process.send_signal(signal.SIGTERM)
    saved = int(read_to(process, "SAVED").split()[1])
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM

    process = start(tmp_path)
    assert start_of(process) == saved
    last = saved + 35 - saved % 10  # in the middle between two checkpoints
    read_to(process, f"STEP {last}")
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].splitlines()
    steps = [last, *(int(line.split()[1]) for line in rest if len(line.split()) == 2)]

    process = start(tmp_path, patience=30.0)
    again = start_of(process)
    # The save that began last may have been cut off; the one before it was complete.
    assert again >= steps[-1] // 10 * 10 - 10
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again" in "".join(process.stderr.readline() for _ in range(2))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
