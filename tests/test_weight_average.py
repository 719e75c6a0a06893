"""Averaged parameters: their recurrence, what they are used for, and stopped runs."""

import json
import os
import signal
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_training_step import phase_of
from tiny import tiny

from ligo_cpc_snn.runtime.compilation import CompilationCounter
from ligo_cpc_snn.search.weights import load_detector
from ligo_cpc_snn.stopping import INTERRUPTED
from ligo_cpc_snn.training.checkpoint_record import named_leaves
from ligo_cpc_snn.training.loop import Loop
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.training.step import average_on
from ligo_cpc_snn.wiring import run as run_module
from ligo_cpc_snn.wiring.session import run_session

DECAY = 0.4  # reached after five steps


def assert_same(one, other) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def assert_averages(history) -> None:
    """The recurrence goes through all phases."""
    assert len(history) == 17
    for n, ((_, before), (params, after)) in enumerate(pairwise(history)):
        kept = min(DECAY, (1 + n) / (10 + n))
        expected = jax.tree.map(lambda a, p, k=kept: k * a + (1 - k) * p, before, params)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), after, expected)


def test_the_decay_grows_to_its_value_and_the_beginning_is_forgotten():
    values, average = np.random.default_rng(0).standard_normal(40), 1e3
    expected = average
    for n, value in enumerate(values):
        average = average_on(
            {"x": jnp.float32(average)}, {"x": jnp.float32(value)}, jnp.int32(n), 0.9
        )["x"]
        kept = (1 + n) / (10 + n) if n < 80 else 0.9
        expected = kept * expected + (1 - kept) * value
        assert float(average) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert abs(average) < 2  # of the 1000 nothing is left


def test_a_late_average_has_the_decay_asked_for():
    got = average_on({"x": jnp.ones(())}, {"x": jnp.zeros(())}, jnp.int32(1000), 0.9)
    assert float(got["x"]) == pytest.approx(0.9)


def test_the_average_of_what_does_not_change_is_that():
    tree = {"x": jnp.asarray([0.3, -7.0, 1e-8])}
    for n in (0, 5, 500):
        got = average_on(tree, tree, jnp.int32(n), 0.99)
        np.testing.assert_allclose(got["x"], tree["x"], rtol=3e-7)


def averaged(*more: str, **settings):
    return tiny(f"training.average_decay={DECAY}", *more, **settings)


def test_steps_average_their_parameters_and_train_as_without():
    functions, state, banks = phase_of(averaged())
    plain_functions, plain, _ = phase_of(tiny())
    assert_same(state.average, state.params)
    assert plain.average is None
    assert plain.measured is plain.params
    step, plain_step = jax.jit(functions.step), jax.jit(plain_functions.step)
    expected = jax.device_get(state.params)
    for n in range(9):
        state, plain = step(state, banks), plain_step(plain, banks)
        kept = min(DECAY, (1 + n) / (10 + n))
        now = jax.device_get(state.params)
        expected = jax.tree.map(lambda a, p, k=kept: k * a + (1 - k) * p, expected, now)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), expected, state.average
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        plain.params,
        state.params,
    )
    assert state.measured is state.average
    assert step._cache_size() == 1


def test_without_averaging_a_checkpoint_holds_what_it_always_held():
    _, state, _ = phase_of(tiny())
    assert not [name for name in named_leaves(state) if "average" in name]


def test_a_step_that_is_not_finite_leaves_the_average_alone():
    functions, state, banks = phase_of(averaged())
    state = jax.jit(functions.step)(state, banks)
    noise = banks.noise._replace(strain=banks.noise.strain * jnp.nan)
    after = jax.jit(functions.step)(state, banks._replace(noise=noise))
    assert int(after.bad_step) == 1
    assert_same(after.average, state.average)


@pytest.mark.parametrize("wrong", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"average_decay=.*0\.999"):
        tiny(f"training.average_decay={wrong}")


def test_a_stopped_run_goes_on_with_its_average_and_exports_it(tmp_path, monkeypatch):
    """Stopped in the second phase; what is validated and exported is the average."""
    states, compiled = {}, {}
    original, update, mine = Loop.run, TrainingProgress.update, Loop._mine
    before_steps = []  # parameters and average, of the whole run

    def mine_and_look(self, phase, state, banks, step):
        if self.saver.directory.parent.name == "whole":
            before_steps.append(jax.device_get((state.params, state.average)))
        return mine(self, phase, state, banks, step)

    def run(self, params, restored):
        with CompilationCounter() as counter:
            state, done = original(self, params, restored)
        compiled[self.saver.directory.parent.name] = counter.total
        states[self.saver.directory.parent.name] = jax.device_get(state)
        return state, done

    def update_and_stop(self, step, phase, metrics):
        update(self, step, phase, metrics)
        if step == 6 and not metrics:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Loop, "run", run)
    monkeypatch.setattr(Loop, "_mine", mine_and_look)
    monkeypatch.setattr(run_module, "write_data_record", lambda *given: None)
    monkeypatch.setattr(run_module, "write_report", lambda folder: folder)  # only takes time
    for name in ("whole", "stopped"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "stopped":
            with monkeypatch.context() as patch:
                patch.setattr(TrainingProgress, "update", update_and_stop)
                assert run_session(averaged(run_dir=folder), folder, tmp_path) == INTERRUPTED
            assert not (folder / "detector.safetensors").exists()
        assert run_session(averaged(run_dir=folder), folder, tmp_path) == 0
        assert compiled[name] == 0
    assert_same(states["stopped"].params, states["whole"].params)
    assert_same(states["stopped"].average, states["whole"].average)
    whole = states["whole"]
    assert_averages([*before_steps, (whole.params, whole.average)])
    exported = load_detector(tmp_path / "whole")
    assert_same(exported.params, whole.average["detector"])
    kernel = exported.params["snn"]["readout"]["product"]["kernel"]
    assert np.any(kernel != whole.params["detector"]["snn"]["readout"]["product"]["kernel"])
    assert_same(load_detector(tmp_path / "stopped").params, exported.params)
    numbers = [
        json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("whole", "stopped")
    ]
    assert numbers[0]["detection"] == numbers[1]["detection"]
    assert numbers[0]["timing"] == exported.card["numbers"]["timing"]
    assert exported.time_offset_seconds == numbers[0]["timing"]["offset_seconds"]
    assert exported.card["weights"] == "moving average, decay 0.4"
    # Without its file the run's checkpoint gives the same.
    (tmp_path / "whole" / "detector.safetensors").unlink()
    assert_same(load_detector(tmp_path / "whole").params, exported.params)
