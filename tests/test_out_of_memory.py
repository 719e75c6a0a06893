"""A step without memory is taken again in smaller parts, and the run's numbers stay."""

import logging

import jax
import numpy as np
import pytest
from toy_training import BATCH, NO_MEMORY, STEPS, toy_loop

from ligo_cpc_snn.memory import OutOfMemoryError, is_sound


def run(toy):
    state, done = toy.loop.run(toy.params, None)
    assert done
    return jax.device_get(state)


@pytest.fixture(scope="module")
def unhalved():
    toy = toy_loop()
    return run(toy), toy.services


def delete(state) -> None:
    for leaf in jax.tree.leaves(state):
        leaf.delete()


class Failing:
    """Wraps the step of a toy: at `step` there is no memory for more than `limit` examples."""

    def __init__(self, toy, step: int, how: str, limit: int = BATCH // 2) -> None:
        self.toy, self.step, self.how, self.limit = toy, step, how, limit
        self.advance, self.calls = toy.steps.advance, []
        toy.steps.advance = self
        phase = toy.loop.phases[0]
        toy.loop.phases[0] = phase._replace(validate=self.validate)

    def validate(self, params, banks, number):
        if params["w"].is_deleted():
            raise jax.errors.JaxRuntimeError(NO_MEMORY)
        return {"loss/detection": params["w"]}

    def __call__(self, state, banks, count):
        if not is_sound(state):  # as XLA does with the result of a step that failed
            raise jax.errors.JaxRuntimeError(NO_MEMORY)
        with jax.transfer_guard("allow"):
            first = int(state.step)
        self.calls.append((first, self.toy.steps.micro_batch))
        if first <= self.step < first + count and self.toy.steps.micro_batch > self.limit:
            if self.how == "before":
                raise jax.errors.JaxRuntimeError(NO_MEMORY)
            after = self.advance(state, banks, count)
            delete(state)
            if self.how == "after":
                raise jax.errors.JaxRuntimeError(NO_MEMORY)
            delete(after)  # told with a later step
            return after
        return self.advance(state, banks, count)


def assert_same_run(toy, state, unhalved) -> None:
    expected, services = unhalved
    assert int(state.step) == STEPS
    np.testing.assert_allclose(state.params["w"], expected.params["w"], atol=1e-6)
    assert toy.services.saved.keys() == services.saved.keys()
    for step, params in services.saved.items():
        np.testing.assert_allclose(toy.services.saved[step], params, atol=1e-6)
    assert len(toy.services.records) == len(services.records)
    for got, record in zip(toy.services.records, services.records, strict=True):
        assert got == pytest.approx(record, abs=1e-6)


# Told late, a failure of the last step is told when its metrics are read: as `after` has it.
CASES = [(how, step) for how in ("before", "after") for step in (0, 6, 9, STEPS - 1)]
CASES += [("late", step) for step in (0, 6, 9)]


@pytest.mark.parametrize(("how", "step"), CASES)
def test_the_run_goes_on_with_half_and_the_same_numbers(unhalved, how, step, caplog):
    toy = toy_loop()
    failing = Failing(toy, step, how)
    with caplog.at_level(logging.WARNING):
        state = run(toy)
    assert_same_run(toy, state, unhalved)
    assert toy.steps.micro_batch == BATCH // 2
    assert any("micro-batches of 4 examples instead of 8" in x for x in toy.loop.warnings)
    assert caplog.text.count("out of memory in phase finetune") == 1
    again = [first for first, _ in failing.calls].count(step)
    assert again == 2
    if how == "before":  # the state is still there: that very step, and no other
        assert len(failing.calls) == STEPS + 1


@pytest.mark.parametrize("how", ["after", "late"])
def test_a_validation_before_the_failure_is_not_recorded_twice(how):
    """Steps are logged more seldom than validated: the way back ends at the validation."""
    settings = {"log_every": 20, "evaluate_every": 4, "checkpoint_every": 20}
    expected = toy_loop(**settings)
    unhalved = run(expected), expected.services
    toy = toy_loop(**settings)
    Failing(toy, 10, how)
    assert_same_run(toy, run(toy), unhalved)


def test_a_step_that_was_not_taken_again_would_be_seen(unhalved):
    """The comparison can fail: a run that leaves a step out has other numbers."""
    toy = toy_loop()
    advance = toy.steps.advance

    def skipping(state, banks, count):
        after = advance(state, banks, count)
        with jax.transfer_guard("allow"):
            if int(after.step) == 7:
                shift = jax.numpy.asarray(0.01)
                after = after._replace(params={"w": after.params["w"] + shift})
        return after

    toy.steps.advance = skipping
    with pytest.raises(AssertionError):
        assert_same_run(toy, run(toy), unhalved)


def test_several_times_down_to_what_fits(unhalved):
    toy = toy_loop()
    Failing(toy, 5, "after", limit=1)
    assert_same_run(toy, run(toy), unhalved)
    assert toy.steps.micro_batch == 1
    assert toy.steps.accumulation == BATCH


def test_a_single_example_that_does_not_fit_ends_the_run_with_what_helps():
    toy = toy_loop(accumulation=BATCH)
    Failing(toy, 3, "before", limit=0)
    with pytest.raises(OutOfMemoryError, match=r"single example.*data\.window_seconds"):
        run(toy)


def test_another_error_of_the_device_ends_the_run():
    toy = toy_loop()

    def broken(state, banks, count):
        raise jax.errors.JaxRuntimeError("INTERNAL: kernel failed")

    toy.steps.advance = broken
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        run(toy)
    assert toy.steps.micro_batch == BATCH


def test_out_of_memory_elsewhere_is_not_the_steps():
    """With the state sound, halving the step would not help what failed."""
    toy = toy_loop()

    def validate(*_):
        raise jax.errors.JaxRuntimeError(NO_MEMORY)

    toy.loop.phases[0] = toy.loop.phases[0]._replace(validate=validate)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        run(toy)
    assert toy.steps.micro_batch == BATCH


def test_processes_that_do_not_know_of_it_end():
    toy = toy_loop()
    toy.loop.recovers = False
    Failing(toy, 6, "before")
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        run(toy)


class Changing:
    """Banks that change every seven steps, to the same."""

    def __init__(self, banks) -> None:
        self.banks, self.asked = banks, []

    def at(self, step, stop):
        self.asked.append(step)
        return self.banks

    def changes_at(self, step):
        return (step // 7 + 1) * 7

    def renews_noise(self, step):
        return False


@pytest.mark.parametrize("count", [2, 3, 4])
def test_several_steps_in_a_call_give_the_same_run(unhalved, count):
    toy = toy_loop(per_dispatch=count)
    state = run(toy)
    assert_same_run(toy, state, unhalved)
    assert len(toy.services.dispatched) < STEPS
    assert {4, 8, 10, 12, 16, 20} <= set(toy.services.dispatched)  # where something is due


def test_no_call_goes_beyond_a_change_of_the_banks(unhalved):
    toy = toy_loop(per_dispatch=2, supply=Changing)
    assert_same_run(toy, run(toy), unhalved)
    assert {7, 14} <= set(toy.loop.supply.asked)


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_call_of_several_steps_without_memory_is_made_again(unhalved, how):
    toy = toy_loop(per_dispatch=4)
    Failing(toy, 9, how)
    assert_same_run(toy, run(toy), unhalved)
    assert toy.steps.micro_batch == BATCH // 2
