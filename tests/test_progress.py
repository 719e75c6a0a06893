"""Progress: the bar on a terminal, lines elsewhere, and numbers that are right."""

import io
import logging
import time

import pytest
from rich.console import Console

from ligo_cpc_snn.training.progress import Throughput, TrainingProgress, clock


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False)


def test_throughput_is_that_of_the_latest_steps():
    throughput = Throughput(batch_size=32, window=3)
    assert throughput.examples_per_second is None
    throughput.update(0, 0.0)
    assert throughput.seconds_left(10) is None
    for step, now in ((1, 100.0), (2, 100.5), (3, 101.0)):  # the first was a compilation
        throughput.update(step, now)
    assert throughput.examples_per_second == pytest.approx(64.0)
    assert throughput.seconds_left(10) == pytest.approx(5.0)


def test_a_terminal_shows_phase_step_loss_rate_and_time_left():
    console = terminal()
    with TrainingProgress(50, 16, console=console) as progress:
        for step in range(1, 51):
            progress.update(step, "finetune", {"loss": 0.123456} if step == 25 else {})
            time.sleep(0.001)
    shown = console.file.getvalue()
    for word in ("finetune", "50/50", "loss 0.1235", "examples/s", "0:00 left"):
        assert word in shown


def test_elsewhere_there_are_few_log_lines(caplog):
    caplog.set_level(logging.INFO)
    console = plain()
    with TrainingProgress(40, 16, console=console) as progress:
        for step in range(1, 41):
            phase = "pretrain" if step <= 20 else "probe"
            progress.update(step, phase, {})
            if step % 10 == 0:
                progress.update(step, phase, {"loss": 1.0})
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in lines] == [
        "pretrain: step 1 of 40",
        "probe: step 21 of 40",
        "probe: step 40 of 40",
    ]
    assert lines[0] == "pretrain: step 1 of 40"
    assert "loss 1" in lines[-1]
    assert console.file.getvalue() == ""


def test_it_can_be_switched_off(caplog):
    caplog.set_level(logging.INFO)
    console = terminal()
    with TrainingProgress(3, 1, enabled=False, console=console) as progress:
        progress.update(3, "probe", {})
    assert console.file.getvalue() == ""
    assert not caplog.records


def test_an_error_leaves_the_terminal_usable():
    console = terminal()
    with (
        pytest.raises(ZeroDivisionError),
        TrainingProgress(3, 1, console=console) as progress,
    ):
        progress.update(1, "probe", {"loss": 1 / 0})
    assert console.file.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_clock():
    assert [clock(s) for s in (0.2, 61, 3599.6, 7322)] == ["0:00", "1:01", "1:00:00", "2:02:02"]
