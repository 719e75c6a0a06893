"""Which settings a workload takes: the config's, then the stored winner's, then the heuristic's."""

import json
import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace

import jax
import pytest
from small_detector import small_detector
from tiny import tiny

from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.model_schema import Surrogate
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.runtime_schema import LifKernel, Precision, RecurrenceKernel
from ligo_cpc_snn.models import lif_pallas, lif_trial
from ligo_cpc_snn.models.kernels import PLAIN
from ligo_cpc_snn.runtime import tuning_store
from ligo_cpc_snn.runtime.machine import machine_kind
from ligo_cpc_snn.runtime.tuning_store import Entry, device_name, store
from ligo_cpc_snn.wiring.choices import (
    heuristic,
    heuristic_of,
    kernels_of,
    plain_settings,
    prepared_search,
    search_choices,
    slides_at_a_time,
    training_choices,
)
from ligo_cpc_snn.wiring.workloads import detecting_shapes, longest_phase, training_shapes

WON = {
    "lif": "scan",
    "recurrence": "associative",
    "unroll": 4,
    "precision": "bfloat16",
    "accumulation": 2,
    "steps_per_dispatch": 2,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path / "cache"))
    tuning_store.forget()
    yield
    tuning_store.forget()


def keep(workload, shapes, choice) -> None:
    store(
        Entry(
            workload=workload,
            platform="cpu",
            device=device_name(),
            machine=machine_kind(),
            shapes=shapes,
            choice=choice,
            seconds=0.1,
            unit="step",
            speedup=1.5,
            table=[],
            measured="2026-11-21T13:00:00+00:00",
        )
    )


def searching(*overrides):
    return load_root(list(overrides), SEARCH)


def shapes_of(detector):
    return detecting_shapes(detector.model, len(detector.detectors), detector.sample_rate_hz)


def test_the_heuristic_decides_where_nothing_was_measured(caplog):
    with caplog.at_level(logging.INFO):
        chosen = training_choices(tiny())
    assert chosen.kernels == PLAIN
    assert (chosen.steps_per_dispatch, chosen.accumulation) == (1, 1)
    (line,) = [r.message for r in caplog.records]
    assert line == chosen.source
    assert "heuristic of cpu" in line
    assert "ligo-optimize" in line


def test_a_winner_stands_before_the_heuristic():
    cfg = tiny()
    keep("training step", training_shapes(cfg), WON)
    chosen = training_choices(cfg)
    assert chosen.kernels == kernels_of(WON)
    assert (chosen.steps_per_dispatch, chosen.accumulation) == (2, 2)
    assert "unroll=4" in chosen.source
    assert "by ligo-optimize" in chosen.source


def test_the_config_stands_before_the_winner():
    cfg = tiny(
        "runtime.kernels.unroll=8",
        "runtime.kernels.precision=float32",
        "runtime.kernels.recurrence=scan",
        "runtime.kernels.steps_per_dispatch=3",
        "training.accumulation=4",
    )
    keep("training step", training_shapes(cfg), WON)
    chosen = training_choices(cfg)
    assert chosen.kernels.unroll == 8
    assert chosen.kernels.precision is Precision.float32
    assert chosen.kernels.recurrence is RecurrenceKernel.scan
    assert (chosen.steps_per_dispatch, chosen.accumulation) == (3, 4)


def test_tuning_off_leaves_winners_alone():
    cfg = tiny("runtime.tuning=off")
    keep("training step", training_shapes(cfg), WON)
    assert training_choices(cfg).kernels == PLAIN
    assert "runtime.tuning=off" in training_choices(cfg).source


@pytest.mark.parametrize(
    "override",
    [
        "training.batch_size=8",
        "data.window_seconds=1.0",
        "model.snn.widths=[9]",
        "model.bridge.threshold=0.7",
        "training.infonce.steps=3",
        "training.average_decay=0.9",
    ],
)
def test_a_choice_is_of_its_shapes_only(override):
    keep("training step", training_shapes(tiny()), WON)
    assert training_choices(tiny(override)).kernels == PLAIN


@pytest.mark.parametrize("override", ["seed=3", "training.finetune.learning_rate=1", "name=other"])
def test_what_costs_no_time_is_no_part_of_the_key(override):
    assert training_shapes(tiny(override)) == training_shapes(tiny())


def test_the_longest_phase_is_the_one_measured():
    assert longest_phase(tiny()).steps == 8
    assert longest_phase(tiny("training.probe.steps=9")).train_encoder is False


def test_a_search_takes_its_winner_and_the_settings_given():
    detector = small_detector()
    assert search_choices(searching(), detector)[3:5] == (4, 8.0)
    kernels = {name: WON[name] for name in PLAIN._fields}
    keep("search", shapes_of(detector), {**kernels, "streams": 8, "chunk_seconds": 2.0})
    cfg, chosen, _ = prepared_search(searching("streams=3"), detector)
    assert (cfg.streams, cfg.chunk_seconds) == (3, 2.0)
    assert chosen.kernels == kernels_of(WON)
    assert chosen.network.kernels == kernels_of(WON)


def test_a_search_that_goes_on_keeps_what_it_began_with(tmp_path):
    """A winner found meanwhile, or another device, would make another search of it."""
    detector = small_detector()
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"streams": 2, "chunk_seconds": 1.0, "psd_seconds": 16.0}))
    kernels = {name: WON[name] for name in PLAIN._fields}
    keep("search", shapes_of(detector), {**kernels, "streams": 8, "chunk_seconds": 2.0})
    chosen = search_choices(searching(), detector, file)
    assert (chosen.streams, chosen.chunk_seconds) == (2, 1.0)
    given = search_choices(searching("streams=5"), detector, file)
    assert given.streams == 5  # Progress refuses it then
    assert "the search that goes on" in chosen.source


def test_what_is_followed_takes_the_winner_of_a_window():
    detector = small_detector()
    keep("window", shapes_of(detector), {name: WON[name] for name in PLAIN._fields})
    followed = replace(searching(), follow="somewhere")
    assert search_choices(followed, detector).kernels.unroll == 4
    assert search_choices(searching(), detector).kernels == PLAIN


def test_slides_at_a_time():
    detector, runtime = small_detector(), searching().runtime
    assert slides_at_a_time(runtime, detector) == 16
    keep("slides", shapes_of(detector), {"slides_at_a_time": 32})
    assert slides_at_a_time(runtime, detector) == 32
    assert slides_at_a_time(searching("runtime.tuning=off").runtime, detector) == 16


def test_every_heuristic_is_complete():
    for platform in ("cpu", "gpu", "mps", "metal"):
        assert set(heuristic(platform)) == set(plain_settings())
        kernels_of(heuristic(platform))
    assert heuristic("gpu")["recurrence"] == "associative"
    assert heuristic("gpu")["steps_per_dispatch"] > 1
    assert heuristic("gpu")["precision"] == "float32"
    assert kernels_of(heuristic("gpu", "9.0")).lif is LifKernel.pallas
    assert kernels_of(heuristic("gpu", "7.5")).lif is LifKernel.scan
    assert kernels_of(heuristic("gpu", "gfx90a")).lif is LifKernel.pallas
    assert heuristic("cpu") == plain_settings()


@dataclass(frozen=True)
class Gpu:
    """What the heuristic asks of a device of JAX."""

    platform: str = "gpu"
    compute_capability: str = "9.0"


@pytest.fixture
def untried():
    lif_trial.failure.cache_clear()
    yield
    lif_trial.failure.cache_clear()


def test_a_gpu_takes_the_kernel_only_after_a_trial_on_it(monkeypatch, untried, caplog):
    """A compiler that fails is told once, with its reason, and the scan is taken."""
    tried = []

    def computed(kernels):
        tried.append(kernels.lif)
        if kernels.lif is LifKernel.pallas:
            raise RuntimeError("INTERNAL: ptxas\n exited with code 255")
        return {}

    monkeypatch.setattr(lif_trial, "_computed", computed)
    monkeypatch.setattr(jax, "default_device", nullcontext)  # there is no such device here
    for _ in range(2):
        assert heuristic_of(Gpu()) == heuristic("gpu", "9.0") | {"lif": "scan"}
    assert tried == [LifKernel.pallas]
    (said,) = caplog.records
    assert "RuntimeError: INTERNAL: ptxas exited with code 255" in said.getMessage()
    lif_trial.failure.cache_clear()
    monkeypatch.setattr(lif_trial, "_computed", lambda kernels: {})  # both the same
    assert heuristic_of(Gpu())["lif"] == "pallas"
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    assert heuristic_of(Gpu())["lif"] == "scan"


def test_the_trial_is_the_kernels_own_and_sees_what_is_wrong(monkeypatch, untried):
    """On the CPU: refused as it is; step by step it agrees with the scan."""
    monkeypatch.setattr(lif_trial, "KINDS", (Surrogate.arctan,))
    device = jax.local_devices()[0]
    assert "expected an NVIDIA or AMD GPU" in lif_trial.failure(device)
    with lif_pallas.interpreted():
        kernel = lif_trial._computed(kernels_of(plain_settings() | {"lif": "pallas"}))
    scan = lif_trial._computed(PLAIN)
    assert lif_trial._difference(kernel, scan) == ""
    (name, (gradients, outputs)), *_ = scan.items()
    off = {name: ([1.001 * gradient for gradient in gradients], outputs)}
    assert "a gradient is 1.0e-03 off" in lif_trial._difference(off, scan)
    off = {name: (gradients, [1 - outputs[0], *outputs[1:]])}
    assert "spikes" in lif_trial._difference(off, scan)
    off = {name: ([float("nan") * gradient for gradient in gradients], outputs)}
    assert "nan" in lif_trial._difference(off, scan)
