"""The plan of a run's memory: what counts, what is said, and what does not fit."""

import json
import logging
from types import SimpleNamespace

import pytest
from tiny import tiny

from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.dataset.plan import BankError, check_host, plan_synthetic
from ligo_cpc_snn.memory import OutOfMemoryError
from ligo_cpc_snn.runtime import devices
from ligo_cpc_snn.runtime.memory_plan import MemoryPlan, Part
from ligo_cpc_snn.runtime.platforms import PlatformError
from ligo_cpc_snn.wiring import memory

MB = 10**6


def plan(device: int = 1000 * MB, host: int = 1000 * MB) -> MemoryPlan:
    parts = [
        Part("training banks", 300 * MB, change="data.signals.bank_size"),
        Part("parameters", 20 * MB),
        Part("step", 150 * MB, program=True),
        Part("validation", 200 * MB, program=True),
        Part("whitened noise", 500 * MB, "host"),
    ]
    return MemoryPlan(parts, device, host)


def test_what_stays_is_added_and_of_the_programs_the_largest_counts():
    assert plan().needed("device") == (300 + 20 + 200) * MB
    assert plan().needed("host") == 500 * MB
    assert plan().room() == 480 * MB
    assert plan(device=100 * MB).room() == -420 * MB
    assert plan().places() == ["device", "host"]


def test_the_table_names_every_part_its_megabytes_and_what_would_change_it():
    table = plan().lines()
    for word in ("training banks", "300", "data.signals.bank_size", "520", "1,000", "whitened"):
        assert word in table
    assert "runtime.memory_budget_gb" in table
    assert "runtime.host_memory_gb" in table
    assert max(len(line) for line in table.splitlines()) <= 120


def test_the_record_is_plain_and_adds_up():
    record = json.loads(json.dumps(plan().to_dict()))
    assert record["needed"] == {"device": 520 * MB, "host": 500 * MB}
    assert sum(part["bytes"] for part in record["parts"]) == 1170 * MB


def config(**runtime):
    return SimpleNamespace(runtime=RuntimeConfig(**runtime))


def test_a_plan_that_fits_is_told_and_passes(caplog):
    with caplog.at_level(logging.INFO):
        memory.tell_and_check(plan(), config(memory_budget_gb=1.0))
    assert "memory of this run" in caplog.text
    assert "WARNING" not in caplog.text


def test_a_plan_beyond_a_given_budget_is_refused_with_its_largest_parts():
    with pytest.raises(OutOfMemoryError, match=r"520 MB .*training banks 300 MB.*memory_budget_gb"):
        memory.tell_and_check(plan(device=400 * MB), config(memory_budget_gb=0.4))
    with pytest.raises(OutOfMemoryError, match=r"host's memory.*runtime\.host_memory_gb"):
        memory.tell_and_check(plan(host=400 * MB), config(host_memory_gb=0.4))


def test_a_cpu_beyond_its_fraction_goes_on_with_a_warning(caplog, monkeypatch):
    """Host memory is soft: other programs may free some, or the system swaps."""
    with caplog.at_level(logging.WARNING):
        memory.tell_and_check(plan(device=400 * MB), config())
    assert "may swap" in caplog.text
    monkeypatch.setattr(memory, "device_is_host", lambda: False)
    with pytest.raises(OutOfMemoryError):
        memory.tell_and_check(plan(device=400 * MB), config())


def test_the_variable_reaches_the_budget(monkeypatch):
    monkeypatch.setattr(devices, "available_bytes", lambda: 8 * 10**9)
    monkeypatch.setattr(devices, "resident_bytes", lambda: 0)
    cfg = RuntimeConfig(memory_fraction=0.5)
    monkeypatch.delenv("LIGO_MEM_FRACTION", raising=False)
    assert devices.memory_budget_bytes(cfg) == 4 * 10**9
    monkeypatch.setenv("LIGO_MEM_FRACTION", "0.25")
    assert devices.memory_budget_bytes(cfg) == 2 * 10**9
    assert devices.memory_room_bytes(cfg) == 2 * 10**9
    assert devices.host_budget_bytes(cfg) == 2 * 10**9
    monkeypatch.setenv("LIGO_MEM_FRACTION", "2")
    with pytest.raises(PlatformError, match=r"LIGO_MEM_FRACTION=2: expected a number in \(0, 1\]"):
        devices.memory_budget_bytes(cfg)


def test_budgets_of_a_device_with_memory_of_its_own(monkeypatch):
    monkeypatch.setattr(devices, "_device_limit", lambda: 40 * 10**9)
    monkeypatch.setattr(devices, "device_is_host", lambda: False)
    monkeypatch.setattr(devices, "available_bytes", lambda: 64 * 10**9)
    monkeypatch.setattr(devices, "resident_bytes", lambda: 0)
    assert devices.memory_budget_bytes(RuntimeConfig()) == 40 * 10**9
    assert devices.memory_budget_bytes(RuntimeConfig(memory_budget_gb=10)) == 10 * 10**9
    # What XLA does not hand out cannot be had by asking.
    assert devices.memory_budget_bytes(RuntimeConfig(memory_budget_gb=80)) == 40 * 10**9
    assert devices.host_budget_bytes(RuntimeConfig(host_memory_gb=3)) == 3 * 10**9
    assert devices.host_budget_bytes(RuntimeConfig(memory_fraction=0.5)) == 32 * 10**9


def test_on_a_cpu_the_hosts_bound_is_the_devices_too():
    assert devices.memory_budget_bytes(RuntimeConfig(host_memory_gb=3)) == 3 * 10**9
    both = RuntimeConfig(memory_budget_gb=2, host_memory_gb=3)
    assert devices.memory_budget_bytes(both) == devices.host_budget_bytes(both) == 2 * 10**9
    with pytest.raises(OutOfMemoryError, match=r"Raise runtime\.host_memory_gb"):
        memory.tell_and_check(plan(device=400 * MB), config(host_memory_gb=0.4))


def test_processes_of_one_host_share_what_is_free(monkeypatch):
    monkeypatch.setattr(devices, "available_bytes", lambda: 8 * 10**9)
    monkeypatch.setattr(devices, "resident_bytes", lambda: 10**9)
    cfg = RuntimeConfig(memory_fraction=0.5)
    assert devices.memory_budget_bytes(cfg, processes=1) == 5 * 10**9
    assert devices.memory_budget_bytes(cfg, processes=4) == 2 * 10**9
    assert memory.ONE_DEVICE.on_this_host() == 1


def test_noise_and_banks_that_the_host_cannot_hold_are_refused_before_they_are_made():
    cfg = tiny("data.storage=float16")
    planned = plan_synthetic(cfg.data)
    noise = 2 * (planned.training_noise + planned.validation_noise)  # float32 on the host
    needed = noise + planned.training_noise + planned.training_signals
    check_host(planned, cfg.data, needed)
    check_host(planned, cfg.data, None)
    with pytest.raises(BankError, match=r"host's budget .*runtime\.host_memory_gb"):
        check_host(planned, cfg.data, needed - 1)


def test_a_budget_below_what_the_process_has_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(memory, "resident_bytes", lambda: 500 * MB)
    with pytest.raises(OutOfMemoryError, match=r"memory_budget_gb=0\.4: .* taken 0\.5 GB"):
        memory.budgets_of(config(memory_budget_gb=0.4))
    given = memory.budgets_of(config(memory_budget_gb=0.7))
    assert given.banks == 100 * MB


def test_a_search_has_what_is_left_of_the_budget(monkeypatch):
    monkeypatch.setattr(devices, "resident_bytes", lambda: 500 * MB)
    assert devices.memory_room_bytes(RuntimeConfig(memory_budget_gb=0.7)) == 200 * MB
    assert devices.memory_room_bytes(RuntimeConfig(memory_budget_gb=0.1)) == 0


def test_the_budget_is_shared_by_banks_and_the_rest():
    budgets = memory.Budgets(1000 * MB, 400 * MB)
    assert budgets.banks == 500 * MB
    assert budgets.making == 100 * MB
    assert memory.room_beside(plan().parts, budgets) == 480 * MB
    assert memory.room_beside(plan().parts, memory.Budgets(MB, MB)) == 0
