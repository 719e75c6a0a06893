"""Less memory means smaller micro-batches and the same training."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_training_step import banks_of
from tiny import tiny

from ligo_cpc_snn.dataset.sampling import build_sampler
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.runtime.compilation import compile_measured
from ligo_cpc_snn.training.learner import create_learner
from ligo_cpc_snn.training.micro_batches import TrainingSteps, micro_batches
from ligo_cpc_snn.training.step import PhaseFunctions
from ligo_cpc_snn.training.validation import build_validation

BATCH, STEPS = 8, 5
CONFIG = (f"training.batch_size={BATCH}", "training.finetune.learning_rate=0.01")


class Setting:
    """The joint phase of a tiny run, with the step compiled for a budget."""

    def __init__(self) -> None:
        self.cfg = tiny(*CONFIG)
        training = self.cfg.training
        self.banks = banks_of(self.cfg)
        self.structure, self.params = create_learner(
            self.cfg.model, training.infonce, detectors=2, sample_rate_hz=512, seed=0
        )
        self.phase = training.finetune

        def build(parts: int):
            self.cfg.training.accumulation = parts
            return PhaseFunctions(
                self.structure,
                build_sampler(self.cfg.data, BATCH),
                self.banks,
                phase=self.phase,
                cfg=training,
                key=stream(0, "training"),
            )

        self.build = build
        functions = build(1)
        names = functions.metric_names(self.params)
        self.begin = jax.jit(partial(functions.begin, names=names))
        self.tried: list[str] = []

    def state(self):
        first = self.begin(self.params, jnp.zeros((), jnp.int32))
        return jax.tree.map(jnp.copy, first)  # the step is given its memory

    def steps(self, room_bytes: int | None, per_dispatch: int = 1) -> TrainingSteps:
        def step_of(parts: int):
            # The number of parts is read while tracing.
            def step(state, banks):
                return self.build(parts).step(state, banks)

            return step

        return TrainingSteps(
            "finetune",
            step_of,
            (self.state(), self.banks),
            batch_size=BATCH,
            accumulation=1,
            per_dispatch=per_dispatch,
            room_bytes=room_bytes,
            compile_measured=compile_measured,
        )


@pytest.fixture(scope="module")
def setting():
    return Setting()


@pytest.fixture(scope="module")
def whole(setting):
    """The step of the whole batch, and the state after five of it."""
    steps = setting.steps(None)
    state = setting.state()
    for _ in range(STEPS):
        state = steps(state, setting.banks)
    return steps, jax.device_get(state)


def assert_same_parameters(state, whole) -> None:
    expected = whole[1]
    got = jax.device_get(state)
    assert int(got.step) == STEPS
    pairs = zip(jax.tree.leaves(got.params), jax.tree.leaves(expected.params), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)
    first = got.metrics.sums["loss/total"]
    assert first == pytest.approx(expected.metrics.sums["loss/total"], rel=1e-5)


def test_five_steps_moved_the_parameters(setting, whole):
    """Without that, the comparisons below would hold of a step that does nothing."""
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()), jax.device_get(setting.params), whole[1].params
    )
    assert max(jax.tree.leaves(moved)) > 1e-3


@pytest.mark.parametrize("share", [0.6, 0.01])
def test_five_steps_are_the_same_over_budgets(setting, whole, share):
    """0.6 of what the whole batch needs, and so little that single examples remain."""
    needed = whole[0].needed_bytes
    steps = setting.steps(int(share * needed))
    state = setting.state()
    for _ in range(STEPS):
        state = steps(state, setting.banks)
    assert steps.micro_batch < BATCH
    assert steps.needed_bytes < needed
    if share > 0.1:
        assert steps.needed_bytes <= share * needed
    else:
        assert steps.micro_batch == 1
    assert_same_parameters(state, whole)


def test_a_step_halved_on_the_way_gives_the_same(setting, whole):
    steps, state = setting.steps(None), setting.state()
    for step in range(STEPS):
        if step == 2:
            steps.halve()
            assert steps.micro_batch == BATCH // 2
        state = steps(state, setting.banks)
    assert_same_parameters(state, whole)


def test_several_steps_in_a_call_give_the_same(setting, whole):
    """The encoder takes patches: its gradient is a matrix product, quick in a loop as well."""
    steps, state = setting.steps(None, per_dispatch=4), setting.state()
    state = steps.advance(state, setting.banks, 4)
    state = steps.advance(state, setting.banks, 1)
    assert_same_parameters(state, whole)


def test_micro_batches_are_even_and_at_least_as_many_as_asked():
    assert micro_batches(32, 1) == [32, 16, 11, 8, 7, 6, 5, 4, 3, 2, 1]
    assert micro_batches(32, 4) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert micro_batches(7, 7) == [1]
    for size in range(1, 40):
        for least in range(1, size + 1):
            for micro in micro_batches(size, least):
                parts = -(-size // micro)
                assert parts >= least
                assert -(-size // parts) == micro


def test_validation_is_the_same_in_parts(setting):
    cfg = setting.cfg
    run = {
        parts: jax.jit(
            build_validation(
                setting.structure,
                build_sampler(cfg.data, BATCH),
                setting.phase,
                cfg.training,
                stream(0, "validation"),
                parts,
            )
        )(setting.params, setting.banks, jnp.zeros((), jnp.int32))
        for parts in (1, 3)
    }
    assert run[1].keys() == run[3].keys()
    for name, expected in run[1].items():
        np.testing.assert_allclose(run[3][name], expected, rtol=1e-4, atol=1e-5, err_msg=name)
