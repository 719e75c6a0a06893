"""Hard negatives: the loudest noise ends up in the state, and a stopped run finds the same."""

import os
import signal
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from ligo_cpc_snn.dataset.banks import HardCrops, Stretch, build_noise_bank
from ligo_cpc_snn.dataset.sampling import draw_noise_windows
from ligo_cpc_snn.rng import at_step, stream
from ligo_cpc_snn.runtime.compilation import CompilationCounter, compile_ahead
from ligo_cpc_snn.stopping import INTERRUPTED
from ligo_cpc_snn.training.loop import Loop
from ligo_cpc_snn.training.mining import Miner, Mining, prepare_mining
from ligo_cpc_snn.training.progress import TrainingProgress
from ligo_cpc_snn.training.trackers import Trackers
from ligo_cpc_snn.wiring.memory import Budgets
from ligo_cpc_snn.wiring.session import run_session

WINDOW, BATCH, BATCHES, COUNT = 8, 16, 5, 7
KEY = stream(0, "mining")


def noise_bank():
    rng = np.random.default_rng(0)
    rows = [[Stretch(rng.standard_normal(3000).astype(np.float32), 0)] for _ in range(2)]
    return jax.device_put(build_noise_bank(rows, WINDOW))


def mining_of(score, count: int = COUNT, fit=None) -> Mining:
    def draw(bank, key):
        return draw_noise_windows(bank, key, WINDOW, BATCH)

    miner = Miner(draw, score, HardCrops, KEY, count, 2)
    return prepare_mining(
        miner,
        every=3,
        batches=BATCHES,
        params={"weight": jnp.ones(())},
        banks=noise_bank(),
        compile_ahead=compile_ahead,
        fit=fit,
    )


def loudness(params, strain):
    return params["weight"] * jnp.sum(strain**2, axis=(1, 2))


def test_windows_scored_in_parts_are_the_same_found():
    def in_three(name, build, arguments):
        return compile_ahead(name, build(3), *arguments)

    given = {"weight": jnp.ones(())}, noise_bank(), jnp.asarray(3, jnp.int32)
    whole, parts = (mining_of(loudness, fit=fit).search(*given) for fit in (None, in_three))
    np.testing.assert_array_equal(parts.starts, whole.starts)


def all_windows(step: int):
    """Every window that a search looks at, and its loudness."""
    bank = noise_bank()
    keys = [at_step(at_step(KEY, step), number) for number in range(BATCHES)]
    drawn = [draw_noise_windows(bank, key, WINDOW, BATCH) for key in keys]
    strain, starts = (np.concatenate(x) for x in zip(*drawn, strict=True))
    return (strain**2).sum(axis=(1, 2)), starts


@pytest.mark.parametrize("step", [3, 6])
def test_the_loudest_windows_are_found(step):
    found = mining_of(loudness).search(
        {"weight": jnp.ones(())}, noise_bank(), jnp.asarray(step, jnp.int32)
    )
    loud, starts = all_windows(step)
    best = np.argsort(loud)[::-1][:COUNT]
    assert int(found.filled) == COUNT
    np.testing.assert_array_equal(found.starts, starts[best])


def test_the_parameters_decide_what_is_loud():
    mining, bank, step = mining_of(loudness), noise_bank(), jnp.asarray(3, jnp.int32)
    quiet = mining.search({"weight": -jnp.ones(())}, bank, step)
    loud, starts = all_windows(3)
    np.testing.assert_array_equal(quiet.starts, starts[np.argsort(loud)[:COUNT]])


def test_a_score_that_is_no_number_is_never_hard():
    def half(params, strain):
        loud = loudness(params, strain)
        return jnp.where(loud > jnp.median(loud), jnp.nan, loud)

    found = mining_of(half, count=60).search(
        {"weight": jnp.ones(())}, noise_bank(), jnp.asarray(3, jnp.int32)
    )
    assert int(found.filled) == BATCH * BATCHES // 2


def test_forgotten_crops_are_of_the_shape_of_found_ones():
    mining = mining_of(loudness)
    empty = mining.forget()
    found = mining.search({"weight": jnp.ones(())}, noise_bank(), jnp.asarray(3, jnp.int32))
    assert int(empty.filled) == 0
    assert jax.tree.map(lambda x: (x.shape, x.dtype), empty) == jax.tree.map(
        lambda x: (x.shape, x.dtype), found
    )


# Noise that streams, signals that change at steps 3, 6, ..., mining at 4, 8, ... and at 12,
# where the noise changes as well.
EVERYTHING = (
    "data.signals.refresh_steps=3",
    "data.glitches.synthetic_fraction=0.25",
    "data.glitches.bank_size=16",
    "data.glitches.scan_threshold=5",
    "data.glitches.hard_fraction=0.5",
    "data.glitches.hard_count=8",
    "data.glitches.mine_every_steps=4",
    "data.glitches.mine_windows=64",
    "data.storage=float16",
    "data.synthetic.seconds=64",
    "training.pretrain.steps=0",
    "training.probe.steps=5",
    "training.finetune.steps=9",
    "training.evaluate_every=50",
    "training.checkpoint.every_steps=50",
)


class Seen:
    """What the loop did in each of its steps."""

    def __init__(self, monkeypatch) -> None:
        self.filled: dict[int, int] = {}
        self.generations: dict[int, int] = {}
        self.compiled = 0
        self.last = None
        mine, run = Loop._mine, Loop.run

        def watched_mine(loop, phase, state, banks, step):
            state = mine(loop, phase, state, banks, step)
            with jax.transfer_guard("allow"):
                self.filled[step] = int(state.hard.filled)
            self.generations[step] = loop.supply._generation
            return state

        def watched_run(loop, params, restored):
            with CompilationCounter() as counter:
                state, done = run(loop, params, restored)
            self.compiled += counter.total
            self.last = jax.device_get(state)
            return state, done

        monkeypatch.setattr(Loop, "_mine", watched_mine)
        monkeypatch.setattr(Loop, "run", watched_run)


class LittleForBanks(Budgets):
    """Memory for all but the banks: part of their noise fits, so it streams."""

    banks = 430_000


def run(folder: Path, cache: Path, *more: str) -> int:
    folder.mkdir(exist_ok=True)
    budgets = LittleForBanks(10**10, 10**10)
    with mock.patch("ligo_cpc_snn.wiring.session.budgets_of", return_value=budgets):
        return run_session(tiny(*EVERYTHING, *more, run_dir=folder), folder, cache)


@pytest.fixture
def without_the_end(monkeypatch):
    """What comes after training is tested elsewhere."""
    monkeypatch.setattr("ligo_cpc_snn.wiring.run.Run._conclude", lambda *rest: None)


@pytest.mark.usefixtures("without_the_end")
def test_with_everything_on_stopped_and_continued_equals_uninterrupted(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        whole = Seen(patch)
        assert run(tmp_path / "whole", tmp_path) == 0
    steps = range(14)
    assert whole.generations == {step: step // 3 for step in steps}
    # Mined at 4, 8 and 12; forgotten with the noise at 6 and 9, at 12 before the search.
    held = {4, 5, 8, 12, 13}
    assert whole.filled == {step: 8 * (step in held) for step in steps}
    assert whole.compiled == 0
    assert len(list((tmp_path / "noise").glob("noise-*.bin"))) == 1

    update, stops = TrainingProgress.update, iter((5, 12))
    stop_at = next(stops)

    def update_and_stop(self, step, phase, metrics):
        update(self, step, phase, metrics)
        if step == stop_at and not metrics:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingProgress, "update", update_and_stop)
    parts = Seen(monkeypatch)
    while (code := run(tmp_path / "parts", tmp_path)) == INTERRUPTED:
        stop_at = next(stops, -1)
    assert code == 0
    assert stop_at == -1
    assert parts.filled == whole.filled
    jax.tree.map(np.testing.assert_array_equal, parts.last.hard, whole.last.hard)
    jax.tree.map(np.testing.assert_array_equal, parts.last.params, whole.last.params)


@pytest.mark.usefixtures("without_the_end")
def test_a_failing_background_ends_the_run_and_the_trackers_learn_of_it(tmp_path, monkeypatch):
    statuses: list[str] = []
    finish = Trackers.finish

    def watched(self, status):
        statuses.append(status)
        finish(self, status)

    monkeypatch.setattr(Trackers, "finish", watched)
    made = "ligo_cpc_snn.dataset.generations.build_signals"
    from ligo_cpc_snn.dataset.generations import build_signals

    def fail_later(*args, name, **rest):
        if name == "train 2":
            raise OSError("the disk went away")
        return build_signals(*args, name=name, **rest)

    monkeypatch.setattr(made, fail_later)
    with pytest.raises(OSError, match="the disk went away") as error:
        run(tmp_path / "run", tmp_path)
    assert "generation 2" in error.value.__notes__[0]
    assert statuses == ["failed"]
