"""What `ligo-optimize` found is kept, looked up by its key, and expires with its versions."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny

from ligo_cpc_snn.runtime import choice, preference, tuning_store
from ligo_cpc_snn.runtime.machine import machine_kind, processor, usable_cores
from ligo_cpc_snn.runtime.platforms import Availability
from ligo_cpc_snn.runtime.probe import Trial
from ligo_cpc_snn.runtime.tuning_store import Entry, best_platform, device_name, store, winner
from ligo_cpc_snn.wiring.workloads import prefer_learned, training_shapes

SHAPES = {"batch": 4, "detectors": 2, "snn": "8"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path))
    tuning_store.forget()
    yield
    tuning_store.forget()


def entry(**fields) -> Entry:
    known = {
        "workload": "training step",
        "platform": "cpu",
        "device": device_name(),
        "machine": machine_kind(),
        "shapes": SHAPES,
        "choice": {"unroll": 2},
        "seconds": 0.1,
        "unit": "step",
        "speedup": 1.5,
        "table": [],
        "measured": "2026-11-21T13:00:00+00:00",
    }
    return Entry(**(known | fields))


def test_a_stored_choice_is_found_by_its_workload_and_shapes():
    store(entry())
    assert winner("training step", SHAPES) == {"unroll": 2}
    assert winner("search", SHAPES) is None
    assert winner("training step", SHAPES | {"batch": 8}) is None


def test_another_kind_of_device_has_its_own_choice():
    store(entry(device="NVIDIA H200", choice={"unroll": 8}))
    assert winner("training step", SHAPES) is None
    store(entry())
    assert winner("training step", SHAPES) == {"unroll": 2}
    assert len(tuning_store.entries("training step")) == 2


def test_a_later_measurement_replaces_an_earlier_one():
    store(entry())
    assert winner("training step", SHAPES) == {"unroll": 2}
    store(entry(choice={"unroll": 4}))
    assert winner("training step", SHAPES) == {"unroll": 4}
    assert len(tuning_store.entries()) == 1


@pytest.mark.parametrize("changed", [{"jax": "0.0.1"}, {"spyx": "2.0"}, {"jax-mps": "1"}])
def test_a_choice_expires_with_its_versions_and_that_is_said_once(monkeypatch, caplog, changed):
    store(entry(versions=tuning_store.installed_versions() | changed))
    with caplog.at_level(logging.INFO):
        assert [winner("training step", SHAPES) for _ in range(3)] == [None] * 3
    (line,) = [r.message for r in caplog.records if "expired" in r.message]
    assert next(iter(changed)) in line
    assert next(iter(changed.values())) in line


def test_files_are_read_at_the_first_call_only(monkeypatch):
    store(entry())
    assert winner("training step", SHAPES) == {"unroll": 2}
    monkeypatch.setattr(tuning_store, "_look_up", lambda *_: pytest.fail("looked up again"))
    assert winner("training step", dict(SHAPES)) == {"unroll": 2}


def test_an_unreadable_file_is_told_and_counts_as_absent(caplog):
    file = store(entry())
    for text in ("{", "[]", '{"workload": "search"}'):
        file.write_text(text)
        tuning_store.forget()
        caplog.clear()
        assert winner("training step", SHAPES) is None
        assert str(file) in caplog.text
        assert tuning_store.entries() == []


def test_a_failed_write_leaves_the_earlier_entry(monkeypatch):
    store(entry())

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store(entry(choice={"unroll": 4}))
    tuning_store.forget()
    assert winner("training step", SHAPES) == {"unroll": 2}


def test_a_platform_is_preferred_only_where_two_were_compared():
    assert best_platform("training step", SHAPES) is None
    store(entry(seconds=0.2))
    assert best_platform("training step", SHAPES) is None
    store(entry(platform="gpu", device="NVIDIA H200", seconds=0.3))
    found = best_platform("training step", SHAPES)
    assert found is not None
    assert found[0] == "cpu"
    assert "gpu 300 ms" in found[1]
    store(entry(platform="gpu", device="NVIDIA H200", seconds=0.01))
    found = best_platform("training step", SHAPES)
    assert found is not None
    assert found[0] == "gpu"
    assert best_platform("training step", SHAPES | {"batch": 5}) is None


def test_other_machines_and_expired_entries_prefer_nothing():
    store(entry(seconds=0.2))
    gpu = entry(platform="gpu", device="NVIDIA H200", seconds=0.01)
    store(replace(gpu, machine="another processor"))
    assert best_platform("training step", SHAPES) is None
    store(replace(gpu, versions={"jax": "0.0.1"}))
    assert best_platform("training step", SHAPES) is None


def test_the_cpu_is_told_by_its_name_and_cores():
    assert processor() in device_name()
    assert f"{usable_cores()} cores" in device_name()


def test_the_store_and_its_keys_need_no_jax():
    code = (
        "import sys; import ligo_cpc_snn.runtime.tuning_store as t; "
        "from ligo_cpc_snn.wiring.workloads import shapes_of_file; "
        "from ligo_cpc_snn.search.detector_files import find_detector, names_in, SHIPPED; "
        "shapes = shapes_of_file(find_detector(names_in(SHIPPED)[0])); "
        "assert shapes is not None; t.best_platform('search', shapes); "
        "assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_auto_tries_the_platform_that_was_fastest_first(monkeypatch):
    """Two platforms start: the fixed order takes the first, what was learned the other."""
    monkeypatch.setattr(choice, "availability", lambda name: Availability(name != "metal", "here"))
    monkeypatch.setattr(choice, "try_flags", lambda *_: Trial([], [], ""))
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert choice.first_that_works(None).platform == "cuda"
    preference.prefer(("cpu", "ligo-optimize measured a step: cpu 2 ms, gpu 3 ms"))
    try:
        chosen = choice.first_that_works(None)
        assert chosen.platform == "cpu"
        assert "measured a step" in chosen.reason
        preference.prefer(("gpu", "faster"))
        assert choice.first_that_works(None).platform == "cuda"
        preference.prefer(("metal", "fastest, but gone"))
        assert choice.first_that_works(None).platform == "cuda"
    finally:
        preference.prefer(None)
    assert choice.first_that_works(None).reason == "auto"


def test_a_config_prefers_what_was_learned_of_its_shapes():
    cfg = tiny()
    shapes = training_shapes(cfg)
    store(entry(shapes=shapes, seconds=0.1))
    store(entry(shapes=shapes, platform="gpu", device="NVIDIA H200", seconds=0.2))
    try:
        prefer_learned(cfg)
        assert preference.in_order(("cuda", "cpu")) == ("cpu", "cuda")
        prefer_learned(tiny("training.batch_size=8"))
        assert preference.in_order(("cuda", "cpu")) == ("cuda", "cpu")
        prefer_learned(cfg)
        prefer_learned(tiny("runtime.tuning=off"))
        assert preference.in_order(("cuda", "cpu")) == ("cuda", "cpu")
    finally:
        preference.prefer(None)
