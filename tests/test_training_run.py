"""Whole runs: what they leave behind, and that stopping and resuming changes nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import TINY, tiny

from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.dataset.supply import FixedSupply
from ligo_cpc_snn.runtime.compilation import CompilationCounter, compile_measured
from ligo_cpc_snn.stopping import INTERRUPTED
from ligo_cpc_snn.training.loop import Loop, NonFiniteError
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.wiring import functions, run
from ligo_cpc_snn.wiring.session import run_session

STEPS = 16  # of the tiny run's three phases


@pytest.fixture(scope="module")
def final_states():
    """Collect the last state of each run, by its folder."""
    return {}


@pytest.fixture(autouse=True)
def watched(monkeypatch, final_states):
    original = Loop.run

    def run(self, params, restored):
        with CompilationCounter() as counter:
            state, done = original(self, params, restored)
        folder = Path(self.saver.directory).parent
        final_states[folder] = jax.device_get(state.params)
        (folder / "compilations").write_text(str(counter.total))
        return state, done

    monkeypatch.setattr(Loop, "run", run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "whole"


@pytest.fixture
def whole_run(folder, tmp_path):
    """The tiny run, from its beginning to its end without a stop; made once."""
    if not folder.exists():
        folder.mkdir()
        assert run_session(tiny(run_dir=folder), folder, tmp_path) == 0
    return folder


def lines(run_dir: Path) -> list[dict]:
    """Return the metrics without what depends on the clock and the machine."""
    read = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    clock = ("time", "examples_per_second", "peak_memory_gb")
    return [{k: v for k, v in line.items() if k not in clock} for line in read]


def assert_same_parameters(one, other) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_compiled_while_training(whole_run):
    assert (whole_run / "compilations").read_text() == "0"


def test_a_run_leaves_metrics_report_config_and_checkpoints(whole_run):
    metrics = json.loads((whole_run / "metrics.json").read_text())
    assert metrics["run"]["steps"] == STEPS
    assert metrics["detection"]["snrs"] == [10.0, 30.0]
    assert set(metrics["spikes"]) == {"bridge", "snn_0"}
    assert metrics["versions"]["jax"] == jax.__version__
    memory = metrics["memory"]
    assert {x["accumulation"] for x in memory["phases"].values()} == {1}
    assert 0 < memory["needed"]["device"] < memory["device_budget"]
    assert any(part["name"] == "finetune: step, 1 x 4 examples" for part in memory["parts"])
    for name in ("report.html", "config.yaml", "evaluation.npz", "traces.npz"):
        assert (whole_run / name).stat().st_size > 0
    assert [p.name for p in (whole_run / "checkpoints").glob("[0-9]*")]
    page = (whole_run / "report.html").read_text()
    assert "the run did not write it" not in page
    recorded = lines(whole_run)
    assert {line["split"] for line in recorded} == {"train", "validation"}
    assert [x["step"] for x in recorded if x["split"] == "train"] == [4, 8, 12, 16]
    last = recorded[-2:]
    for name in ("loss/detection", "spike_rate/bridge", "spike_rate/snn_0", "infonce/spread"):
        assert any(name in line for line in last)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_while_it_is_compiled_leaves_at_once(
    tmp_path, monkeypatch, number, capfd, caplog
):
    compiled = []

    def compile_and_stop(name, function, *arguments):
        compiled.append(name)
        os.kill(os.getpid(), number)
        return compile_measured(name, function, *arguments)

    monkeypatch.setattr(functions, "compile_measured", compile_and_stop)
    before = signal.getsignal(number)
    assert run_session(tiny(run_dir=tmp_path), tmp_path, tmp_path) == INTERRUPTED
    assert len(compiled) == 1
    assert signal.getsignal(number) is before
    assert "being compiled is compiled first" in capfd.readouterr().err
    assert (
        "before a step was made: nothing new to save, the same command begins anew" in caplog.text
    )


@pytest.mark.parametrize("stop_at", [6, 8])
def test_stopped_and_continued_equals_uninterrupted(
    whole_run, tmp_path, monkeypatch, final_states, stop_at
):
    """SIGTERM after a step, in a phase or at its end; the same command goes on."""
    run_dir = tmp_path / "stopped"
    run_dir.mkdir()
    update = TrainingProgress.update

    def update_and_stop(self, step, phase, metrics):
        update(self, step, phase, metrics)
        if step == stop_at and not metrics:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "update", update_and_stop)
        assert run_session(tiny(run_dir=run_dir), run_dir, tmp_path) == INTERRUPTED
    assert not (run_dir / "metrics.json").exists()
    assert run_session(tiny(run_dir=run_dir), run_dir, tmp_path) == 0
    assert_same_parameters(final_states[run_dir], final_states[whole_run])
    expected = [x for x in lines(whole_run) if x["step"] > stop_at and x["split"] == "validation"]
    got = [x for x in lines(run_dir) if x["step"] > stop_at and x["split"] == "validation"]
    assert got == expected


def test_a_finished_run_is_not_trained_again(whole_run, tmp_path, final_states):
    before = final_states[whole_run]
    assert run_session(tiny("resume=must", run_dir=whole_run), whole_run, tmp_path) == 0
    assert_same_parameters(final_states[whole_run], before)


def test_a_checkpoint_of_another_architecture_is_refused(whole_run, tmp_path):
    kept = sorted((whole_run / "checkpoints").iterdir())
    with pytest.raises(ConfigError, match=r"model\.snn\.widths"):
        run_session(tiny("model.snn.widths=[12]", run_dir=whole_run), whole_run, tmp_path)
    assert sorted((whole_run / "checkpoints").iterdir()) == kept


def test_resume_must_needs_a_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="resume=must"):
        run_session(tiny("resume=must", run_dir=tmp_path), tmp_path, tmp_path)


def test_resume_never_sets_the_old_checkpoints_aside(whole_run, tmp_path, final_states):
    before = final_states[whole_run]
    assert run_session(tiny("resume=never", run_dir=whole_run), whole_run, tmp_path) == 0
    assert (whole_run / "checkpoints.before-1").is_dir()
    assert_same_parameters(final_states[whole_run], before)  # the same seed


def test_a_non_finite_loss_stops_the_run_and_keeps_what_reproduces_it(tmp_path):
    run_dir = tmp_path / "bad"
    run_dir.mkdir()
    cfg = tiny("training.finetune.learning_rate=1e38", "training.probe.steps=0", run_dir=run_dir)
    cfg.training.optimiser.warmup_steps = 1
    with pytest.raises(NonFiniteError, match=r"phase finetune .*first in the \w+") as error:
        run_session(cfg, run_dir, tmp_path)
    assert str(run_dir / "nonfinite") in str(error.value)
    assert list((run_dir / "nonfinite").glob("[0-9]*"))
    assert not (run_dir / "metrics.json").exists()
    status = [x for x in (run_dir / "metrics.jsonl").read_text().splitlines() if x]
    assert all("NaN" not in line for line in status)


def test_the_loop_runs_under_the_transfer_guard(tmp_path, monkeypatch):
    """A step that is given host memory fails: the guard is there and works."""
    run_dir = tmp_path / "guarded"
    run_dir.mkdir()
    original = run.Loop

    def with_host_banks(*args, **named):
        loop = original(*args, **named)
        loop.supply = FixedSupply(jax.device_get(loop.supply.banks))
        return loop

    monkeypatch.setattr(run, "Loop", with_host_banks)
    with pytest.raises(Exception, match=r"[Dd]isallowed host-to-device transfer"):
        run_session(tiny(run_dir=run_dir), run_dir, tmp_path)


def start(run_dir: Path, cache: Path, *overrides: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "ligo_cpc_snn.train", *TINY, f"run_dir={run_dir}", *overrides],
        env=os.environ | {"LIGO_CACHE_DIR": str(cache), "JAX_PLATFORMS": "cpu"},
        stderr=subprocess.PIPE,
        text=True,
        cwd=run_dir.parent,
    )


def test_killed_at_any_moment_the_same_command_goes_on(tmp_path):
    """kill -9 loses at most the steps since the last checkpoint; two starts share programs."""
    run_dir = tmp_path / "killed"
    more = ("training.finetune.steps=400", "training.checkpoint.every_steps=20")
    process = start(run_dir, tmp_path / "cache", *more)
    deadline = time.monotonic() + 240
    while not list((run_dir / "checkpoints").glob("[0-9]*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    saved = max(int(p.name) for p in (run_dir / "checkpoints").glob("[0-9]*") if p.name.isdigit())

    second = start(run_dir, tmp_path / "cache", *more, "resume=must")
    time.sleep(4)
    refused = start(run_dir, tmp_path / "cache", *more)
    message = refused.communicate(timeout=60)[1]
    assert refused.returncode == 1
    assert re.search(r"pid|process", message)
    log = second.communicate(timeout=240)[1]
    assert second.returncode == 0, log
    resumed = int(re.search(r"checkpoint of step (\d+)", log).group(1))
    assert resumed >= saved - 1
    assert re.search(r"training step +from the cache", log)
    assert json.loads((run_dir / "metrics.json").read_text())["run"]["steps"] == 408
