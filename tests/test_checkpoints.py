"""Checkpoints: exact, atomic, verified; laws first, then every kind of damage."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ligo_cpc_snn.config.model_schema import BridgeKind
from ligo_cpc_snn.config.schema import CheckpointConfig
from ligo_cpc_snn.training.checkpoint_record import (
    ArchitectureMismatchError,
    CheckpointError,
)
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.set_aside import set_aside

DESCRIPTION = {"snn": {"widths": (4, 4), "neuron": "LIF"}, "bridge": BridgeKind.rate}
OPTIMISER = optax.adamw(1e-3)


class State(NamedTuple):
    params: dict
    moments: optax.OptState
    step: jax.Array
    sums: dict
    key: jax.Array


def make_state(seed: int = 0, width: int = 4) -> State:
    kernel = jax.random.normal(jax.random.key(seed), (3, width))
    params = {
        "kernel": kernel,
        "half": kernel.astype(jnp.bfloat16),
        "zeros": -jnp.zeros(1000, jnp.float32),
        "odd": jnp.asarray([jnp.nan, jnp.inf, -0.0], jnp.float32),
        "none": jnp.zeros((0, 3), jnp.float32),
    }
    sums = {"loss": jnp.float32(seed), "count": jnp.int32(7)}
    moments = OPTIMISER.init({"kernel": kernel})
    return State(params, moments, jnp.asarray(seed, jnp.int32), sums, jax.random.key(seed))


def bits(state: State) -> list[tuple]:
    def raw(x: jax.Array) -> jax.Array:
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    return [
        (str(x.dtype), x.shape, getattr(x, "weak_type", False), np.asarray(raw(x)).tobytes())
        for x in jax.tree.leaves(state)
    ]


def config(**changes) -> CheckpointConfig:
    return CheckpointConfig(**{"keep_last": 2, "keep_best": 0, "background": False, **changes})


def write(folder: Path, steps: tuple[int, ...] = (1, 2)) -> None:
    with Checkpoints(folder, config(keep_last=9)) as checkpoints:
        for step in steps:
            checkpoints.save(step, make_state(step), {}, DESCRIPTION)


def restore(folder: Path, abstract: State | None = None):
    with Checkpoints(folder, config()) as checkpoints:
        return checkpoints.restore_latest(abstract or make_state(), DESCRIPTION)


@pytest.mark.parametrize("background", [True, False])
def test_restored_state_equals_the_saved_one_bit_for_bit(tmp_path, background):
    state = make_state(5)
    with Checkpoints(tmp_path / "c", config(background=background)) as checkpoints:
        assert checkpoints.restore_latest(state) is None
        assert checkpoints.save(5, state, {"loss": 0.1}, DESCRIPTION)
        assert not checkpoints.save(5, state, {}, DESCRIPTION)
    sums = (tmp_path / "c" / "5" / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1].split("/")[0] for line in sums} == {"state", "record"}
    for abstract in (make_state(1), jax.eval_shape(make_state)):
        restored, step = restore(tmp_path / "c", abstract)
        assert step == 5
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        assert bits(restored) == bits(state)
    with Checkpoints(tmp_path / "c", config()) as checkpoints:
        assert checkpoints.metrics(5) == {"loss": 0.1}


def test_the_state_may_be_donated_while_it_is_written(tmp_path):
    step = jax.jit(lambda x: jax.tree.map(lambda v: v + 1, x), donate_argnums=0)
    state = {"w": jnp.arange(300_000, dtype=jnp.float32)}
    with Checkpoints(tmp_path, config(background=True)) as checkpoints:
        for number in range(3):
            checkpoints.save(number, state, {}, {})
            for _ in range(5):
                state = step(state)
        abstract = jax.eval_shape(lambda: state)
        restored, number = checkpoints.restore_latest(abstract)
    np.testing.assert_array_equal(restored["w"], np.arange(300_000) + 5 * number)


def test_saving_and_restoring_pass_the_transfer_guard_and_compile_nothing_again(tmp_path):
    step = jax.jit(lambda x: jax.tree.map(lambda v: v * 2, x), donate_argnums=0)
    state = step({"w": jnp.ones(10), "n": jnp.int32(3)})
    with jax.transfer_guard("disallow"), Checkpoints(tmp_path, config()) as checkpoints:
        checkpoints.save(1, state, {}, {})
        restored, _ = checkpoints.restore_latest(state)
        step(restored)
    assert step._cache_size() == 1


def test_the_best_and_the_last_are_kept(tmp_path):
    cfg = config(keep_last=2, keep_best=1, background=True)
    scores = {1: 0.3, 2: 0.9, 3: float("nan"), 4: 0.5, 5: 0.1, 6: None}
    with Checkpoints(tmp_path, cfg) as checkpoints:
        for step, score in scores.items():
            metrics = {} if score is None else {"score": score}
            checkpoints.save(step, make_state(step), metrics, {})
        checkpoints.wait()
        assert checkpoints.steps() == [2, 5, 6]
    with Checkpoints(tmp_path, cfg) as again:  # scores survive a restart
        assert again.restore_best(make_state())[1] == 2
        assert again.restore_latest(make_state())[1] == 6
        again.save(7, make_state(7), {"score": 0.95}, {})
        again.wait()
        assert again.steps() == [6, 7]


def test_without_scores_the_best_is_the_latest(tmp_path):
    write(tmp_path)
    with Checkpoints(tmp_path, config()) as checkpoints:
        assert checkpoints.restore_best(make_state())[1] == 2


def test_another_architecture_names_what_differs(tmp_path):
    write(tmp_path)
    with pytest.raises(ArchitectureMismatchError) as wider:
        restore(tmp_path, make_state(width=8))
    assert "params.kernel is float32[3, 4] in the checkpoint, float32[3, 8]" in str(wider.value)
    assert "more" in str(wider.value)
    other = {**DESCRIPTION, "snn": {"widths": [4, 4], "neuron": "ALIF"}}
    with Checkpoints(tmp_path, config()) as checkpoints:
        with pytest.raises(ArchitectureMismatchError, match=r"snn\.neuron is 'LIF'.*'ALIF'"):
            checkpoints.restore_latest(make_state(), other)
        extra = make_state()._replace(params={"new": {"count": jnp.int32(1)}})
        with pytest.raises(ArchitectureMismatchError, match=r"count .*not in the checkpoint"):
            checkpoints.restore_latest(extra)
        assert checkpoints.restore_latest(make_state(), DESCRIPTION)[1] == 2


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), max(1, len(data) // 7)):
        data[position] ^= 0x10
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def largest(folder: Path) -> Path:
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def files_of(folder: Path) -> list[Path]:
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_damage_to_any_file_is_found_or_harmless(tmp_path, damage, caplog):
    """Whatever file is hit, what comes back is exactly step 2 or exactly step 1."""
    write(tmp_path / "sound")
    outcomes = []
    for number, name in enumerate(files_of(tmp_path / "sound" / "2")):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "sound", folder)
        damage(folder / "2" / name)
        caplog.clear()
        state, step = restore(folder)
        assert bits(state) == bits(make_state(step)), name
        warned = any("step 2 is damaged" in r.getMessage() for r in caplog.records)
        assert warned == (step == 1), name
        outcomes.append(step)
    assert outcomes.count(2) <= 3  # Orbax keeps files that hold nothing of ours


def test_arrays_of_another_step_are_found_without_a_manifest(tmp_path):
    write(tmp_path)
    shutil.rmtree(tmp_path / "2" / "state")
    shutil.copytree(tmp_path / "1" / "state", tmp_path / "2" / "state")
    (tmp_path / "2" / "SHA256SUMS").unlink()
    assert restore(tmp_path)[1] == 1


def test_single_flipped_bits_in_the_arrays_never_load(tmp_path):
    write(tmp_path / "sound")
    target = largest(tmp_path / "sound" / "2" / "state")
    rng = np.random.default_rng(0)
    for position in rng.integers(0, target.stat().st_size, 8):
        folder = tmp_path / f"bit{position}"
        shutil.copytree(tmp_path / "sound", folder)
        path = folder / target.relative_to(tmp_path / "sound")
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        path.write_bytes(bytes(data))
        state, step = restore(folder)
        assert bits(state) == bits(make_state(step))


def test_training_goes_on_past_a_damaged_checkpoint(tmp_path, caplog):
    write(tmp_path, (1, 2, 3))
    shutil.rmtree(tmp_path / "3" / "state")
    flip(largest(tmp_path / "2"))
    with Checkpoints(tmp_path, config()) as checkpoints:
        assert checkpoints.restore_latest(make_state())[1] == 1
        warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
        ours = [r for r in warnings if r.name.startswith("ligo")]
        assert len(ours) == 2
        checkpoints.save(2, make_state(2), {}, DESCRIPTION)
        checkpoints.save(3, make_state(3), {}, DESCRIPTION)
        assert checkpoints.steps() == [2, 3]
    assert (tmp_path / "3.damaged").is_dir()
    assert bits(restore(tmp_path)[0]) == bits(make_state(3))


def test_all_damaged_is_an_error_and_nothing_is_moved(tmp_path):
    write(tmp_path)
    for step in ("1", "2"):
        flip(largest(tmp_path / step))
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"every checkpoint .*step 2: .*step 1: "):
            restore(tmp_path)


def test_saving_without_restoring_first_is_refused(tmp_path):
    write(tmp_path / "c")
    with (
        Checkpoints(tmp_path / "c", config()) as checkpoints,
        pytest.raises(CheckpointError, match="step 2 would come before that of step 2"),
    ):
        checkpoints.save(2, make_state(2), {}, {})
    assert set_aside(tmp_path / "c").name == "c.before-1"
    assert set_aside(tmp_path / "c") is None
    write(tmp_path / "c")
    assert set_aside(tmp_path / "c").name == "c.before-2"


def test_bad_folder_setting_and_description_are_clear_errors(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match="choose another run_dir"):
        Checkpoints(tmp_path / "file" / "c", config())
    with pytest.raises(CheckpointError, match="keep_last=0"):
        Checkpoints(tmp_path / "c", config(keep_last=0))
    with (
        Checkpoints(tmp_path / "c", config()) as checkpoints,
        pytest.raises(CheckpointError, match="description holds"),
    ):
        checkpoints.save(1, make_state(), {}, {"model": object()})


PRELUDE = """
import resource, sys, time
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from ligo_cpc_snn.config.schema import CheckpointConfig
from ligo_cpc_snn.training.checkpoint_record import CheckpointError
from ligo_cpc_snn.training.checkpoints import Checkpoints
folder = Path(sys.argv[1])
def noise(seed, n=500_000):
    return {"w": jnp.asarray(np.random.default_rng(seed).normal(size=n), jnp.float32)}
"""


def python(code: str, *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors[-3000:]
    return output


WRITE_FAILS = """
background = sys.argv[2] == "True"
checkpoints = Checkpoints(folder, CheckpointConfig(keep_last=1, keep_best=0, background=background))
zeros = {"w": jnp.zeros(500_000)}  # compresses to nothing
checkpoints.save(1, zeros, {}, {})
checkpoints.wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoints.save(2, noise(2), {}, {})
    checkpoints.wait()
except CheckpointError as error:
    print("ERROR", error)
checkpoints.close()
"""

# The next start is another process: in the first one files may still be on their way to the disk.
READS_AGAIN = """
again = Checkpoints(folder, CheckpointConfig())
state, step = again.restore_latest({"w": jnp.zeros(500_000)})
print("RESTORED", step, float(abs(state["w"]).sum()), sorted(p.name for p in folder.iterdir()))
again.close()
"""


@pytest.mark.parametrize("background", [True, False])
def test_a_write_that_fails_half_way_is_an_error_and_loses_nothing(tmp_path, background):
    output = finish(python(WRITE_FAILS, tmp_path / "c", background))
    assert "ERROR checkpoint of step 2 could not be written" in output
    assert "complete checkpoints: 1" in output
    output = finish(python(READS_AGAIN, tmp_path / "c"))
    assert "RESTORED 1 0.0 ['1']" in output


CLOCK_IS_SET = """
import itertools
real, turns = time.time, itertools.count()
time.time = lambda: real() + 40 * 86400 * (next(turns) % 2)  # to and fro with each look
checkpoints = Checkpoints(folder, CheckpointConfig(background=True))
for step in (1, 2):
    checkpoints.save(step, noise(step), {}, {})
checkpoints.wait()
state, step = checkpoints.restore_latest(noise(0))
print("RESTORED", step, bool((state["w"] == noise(2)["w"]).all()))
checkpoints.close()
"""


def test_a_clock_that_is_set_while_a_checkpoint_is_written_fails_none(tmp_path):
    """Found by the fault campaign: Orbax took forty days for the time of a write."""
    assert "RESTORED 2 True" in finish(python(CLOCK_IS_SET, tmp_path / "c"))


FULL_DISK = """
checkpoints = Checkpoints(folder, CheckpointConfig(keep_last=1, keep_best=0))
checkpoints.save(1, noise(1, 100_000), {}, {})
checkpoints.wait()
try:
    checkpoints.save(2, noise(2), {}, {})
except CheckpointError as error:
    print("ERROR", error)
checkpoints.close()
again = Checkpoints(folder, CheckpointConfig())
state, step = again.restore_latest(noise(0, 100_000))
print("RESTORED", step, bool((state["w"] == noise(1, 100_000)["w"]).all()))
again.close()
"""


def test_a_full_disk_is_found_before_writing(tmp_path):
    mount = 'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(tmp_path))
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"]).returncode != 0:
        pytest.skip("no unprivileged mounts here: no small disk to fill")
    output = finish(python(FULL_DISK, tmp_path / "c", prefix=prefix))
    assert "ERROR checkpoint of step 2 needs 3.0 MB" in output
    assert "complete checkpoints: 1" in output
    assert "RESTORED 1 True" in output


SAVE_FOR_EVER = """
checkpoints = Checkpoints(folder, CheckpointConfig(keep_last=1, keep_best=0, background=True))
found = checkpoints.restore_latest(noise(0))
step = 0
if found is not None:
    state, step = found
    assert (state["w"] == noise(step)["w"]).all()
print("RESTORED", step, flush=True)
while True:
    step += 1
    checkpoints.save(step, noise(step), {}, {})
    print("SAVING", step, flush=True)
"""


def test_kill_9_at_any_moment_leaves_the_checkpoint_before(tmp_path):
    """Each round restores what the killed round left, with only one checkpoint kept."""
    rng = np.random.default_rng(1)
    saving, restored = 0, []
    for _ in range(4):
        process = python(SAVE_FOR_EVER, tmp_path / "c")
        line = process.stdout.readline().split()
        if not line:
            pytest.fail(process.communicate()[1][-3000:])
        restored.append(int(line[1]))
        # The save announced last was in the background; the one before it was complete.
        assert restored[-1] >= saving - 1
        for _ in range(3):
            saving = int(process.stdout.readline().split()[1])
        time.sleep(rng.uniform(0.0, 0.06))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        numbers = [int(text.split()[1]) for text in rest.splitlines() if text.count(" ")]
        saving = max([saving, *numbers])
    assert restored == sorted(restored)
    assert restored[-1] >= 3
