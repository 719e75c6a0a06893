"""`ligo-optimize`: real candidates compile, agree and are timed; what it prints and refuses."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from small_detector import small_detector, small_model
from tiny import tiny

from ligo_cpc_snn import optimize
from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.runtime import tuning_store
from ligo_cpc_snn.wiring.choices import heuristic
from ligo_cpc_snn.wiring.optimize import optimise, prepare, workloads_of
from ligo_cpc_snn.wiring.optimize_agreement import TOLERANCE
from ligo_cpc_snn.wiring.optimize_detecting import MonthOfStrain, OneWindow
from ligo_cpc_snn.wiring.optimize_slides import TimeSlides
from ligo_cpc_snn.wiring.optimize_training import TrainingStep
from ligo_cpc_snn.wiring.optimize_workload import kernel_axes

DEVICE = "runtime.memory_budget_gb=2"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path))
    tuning_store.forget()
    yield
    tuning_store.forget()


def built(workload, **settings):
    start = {name: heuristic("cpu")[name] for name in workload.settings}
    return workload.lower(start | settings).compile()


def test_training_steps_agree_however_they_are_taken():
    """Micro-batches and several steps in a call give the plain steps' moments and loss."""
    workload = TrainingStep(tiny("model.encoder.kind=patch"))
    plain = built(workload)
    settings = {"accumulation": 2, "steps_per_dispatch": 3, "precision": "float32"}
    candidate = built(workload, **settings)
    assert workload.difference(settings, candidate, plain) < 1e-5
    # The comparison can fail: two steps are not three.
    other = plain.outputs(2)
    wrong = plain._replace(outputs=lambda units: other)
    assert workload.difference(settings, candidate, wrong) > TOLERANCE["float32"]
    before = jax.device_get(candidate.program.call().step)
    assert jax.device_get(candidate.program.call().step) == before + candidate.program.units


def test_a_search_says_the_same_in_any_chunks_and_streams():
    workload = MonthOfStrain(small_detector())
    plain = built(workload)
    for settings in ({"streams": 2, "chunk_seconds": 4.0}, {"chunk_seconds": 32.0}):
        candidate = built(workload, **settings)
        assert workload.difference(settings, candidate, plain) < 1e-5
        jax.block_until_ready(candidate.program.call())
    shifted = plain._replace(outputs=lambda units: np.roll(plain.outputs(units), 1))
    assert workload.difference({}, plain, shifted) > TOLERANCE["bfloat16"]


def test_a_window_is_a_second_of_strain():
    workload = OneWindow(small_detector())
    plain = built(workload)
    assert len(plain.program.call()) == 256 // 8  # frames
    candidate = built(workload, recurrence="associative")
    assert workload.difference({}, candidate, plain) < TOLERANCE["float32"]


def test_slides_say_the_same_however_many_run_side_by_side():
    workload = TimeSlides(small_detector())
    plain, other = built(workload), built(workload, slides_at_a_time=4)
    assert workload.difference({}, other, plain) < 1e-5
    assert other.program.units < plain.program.units
    assert other.needed_bytes < plain.needed_bytes


def test_joint_encoders_have_no_slides():
    model = small_model()
    model.encoder.detectors = DetectorFusion.joint
    with pytest.raises(UserError, match="slide"):
        TimeSlides(small_detector(model))
    cfg = tiny()
    assert workloads_of(cfg) == ("training step", "search", "slides", "window")
    cfg.model.encoder.detectors = DetectorFusion.joint
    assert workloads_of(cfg) == ("training step", "search", "window")


def test_only_gpus_try_the_kernel_of_triton():
    assert "lif" not in [axis.name for axis in kernel_axes("cpu")]
    assert "lif" in [axis.name for axis in kernel_axes("gpu")]


def test_what_the_config_says_is_fixed():
    cfg = tiny("runtime.kernels.unroll=2", "training.accumulation=2")
    assert prepare("training step", cfg)[1] == {"unroll": 2, "accumulation": 2}
    search = load_root(["streams=3", "runtime.kernels.precision=float32"], SEARCH)
    assert prepare("search", search)[1] == {"streams": 3, "precision": "float32"}


def test_a_measurement_is_stored_explained_and_used(capsys):
    cfg = tiny(DEVICE, "runtime.kernels.recurrence=scan", "runtime.kernels.precision=float32")
    (entry,) = optimise(cfg, ["window"], rounds=3)
    assert entry.choice.keys() == {"lif", "recurrence", "unroll", "precision"}
    assert entry.seconds > 0
    assert tuning_store.winner("window", entry.shapes) == entry.choice
    assert optimize.main(["--explain", "window"]) == 0
    printed = capsys.readouterr().out
    for told in ("window on", "in force", "unroll=2", "jax", "chosen:"):
        assert told in printed
    assert optimize.main(["--explain", "search"]) == 0
    assert "nothing measured yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--explain", "serach"], "expected one of 'window'"),
        (["--rounds", "2"], "expected 3 or more"),
        (["--rounds", "x"], "invalid int"),
        (["modle.snn.widths=[8]"], "model"),
        (["--detector", "nobody", "streams=-1"], "streams=-1"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, told, capsys):
    assert optimize.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error


@pytest.mark.slow
def test_the_command_measures_and_explains(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "ligo_cpc_snn.optimize", *arguments],
            env={**os.environ, "LIGO_CACHE_DIR": str(tmp_path), "LIGO_PLATFORM": "cpu"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("--detector", "bbh_gaussian", "--workload", "window", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    assert "window on" in done.stdout
    wrong = run("--detector", "bbh_gaussian", "--workload", "training step")
    assert wrong.returncode == 1
    assert "expected 'search'" in wrong.stderr.splitlines()[-1]
    assert "window on" in run("--explain").stdout
