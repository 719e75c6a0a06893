"""Interrupts: signals reach the loop between steps, and a kill never costs a checkpoint."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

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


def test_an_end_that_python_swallows_comes_at_the_next_chance(monkeypatch):
    class Stubborn:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    swallowed = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt), interrupts.leaving():
        Stubborn()
    assert [type(each.exc_value) for each in swallowed] == [KeyboardInterrupt]


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
