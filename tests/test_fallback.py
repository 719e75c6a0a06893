"""A device that fails gives way to the CPU where `runtime.fallback` says so, and only there."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from flax import nnx
from jax.errors import JaxRuntimeError
from small_detector import RATE, noise, small_detector

from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.roots import SEARCH, TRAINING
from ligo_cpc_snn.memory import OutOfMemoryError
from ligo_cpc_snn.runtime import choice, fallback, platforms
from ligo_cpc_snn.runtime.choice import choose_platform
from ligo_cpc_snn.runtime.environment import EnvironmentReport
from ligo_cpc_snn.runtime.fallback import device_failure, go_on_with_cpu
from ligo_cpc_snn.runtime.platforms import Availability, DeviceUnavailableError, PlatformError
from ligo_cpc_snn.runtime.probe import Trial
from ligo_cpc_snn.search.weights import save_detector

CHOSEN_BY = ("JAX_", "XLA_", "LIGO_", "MALLOC_")


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable of the user and no plug-in, whatever the machine has."""
    for name in list(os.environ):
        if name.startswith(CHOSEN_BY):
            monkeypatch.delenv(name)
    monkeypatch.setattr(platforms, "_plugin", lambda platform: None)
    return monkeypatch


def test_a_search_falls_back_by_default_and_a_training_does_not() -> None:
    assert load_root(["strain.files=[x.hdf5]", "detector=d"], SEARCH).runtime.fallback
    assert not load_root([], TRAINING).runtime.fallback


def test_a_device_that_is_not_here_gives_way_to_the_cpu_and_says_so_once(
    unset: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DeviceUnavailableError, match=r"runtime\.platform=cuda is not usable here"):
        choose_platform("cuda", None)
    assert not caplog.records
    chosen = choose_platform("cuda", None, fallback=True)
    assert (chosen.platform, chosen.fell_back) == ("cpu", True)
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "no JAX plug-in" in said.getMessage()
    assert "no JAX plug-in" in chosen.reason


def test_a_device_that_does_not_start_gives_way_too(unset: pytest.MonkeyPatch) -> None:
    unset.setattr(choice, "availability", lambda name: Availability(True, "plug-in"))
    failures = {"metal": "no Metal device", "cpu": ""}
    unset.setattr(choice, "try_flags", lambda name, flags, folder: Trial([], [], failures[name]))
    with pytest.raises(DeviceUnavailableError, match=r"metal does not start: no Metal.*jax-mps"):
        choose_platform("metal", None)
    assert choose_platform("metal", None, fallback=True).platform == "cpu"


def test_what_is_misspelt_or_contradicts_itself_stays_an_error(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("LIGO_PLATFORM", "gpu")
    with pytest.raises(PlatformError, match="LIGO_PLATFORM=gpu: expected auto"):
        choose_platform("auto", None, fallback=True)
    unset.setenv("LIGO_PLATFORM", "cuda")
    unset.setenv("JAX_PLATFORMS", "cuda")  # leaves the CPU out
    with pytest.raises(DeviceUnavailableError, match="cuda is not usable here"):
        choose_platform("auto", None, fallback=True)
    unset.setenv("JAX_PLATFORMS", "cuda,cpu")
    assert choose_platform("auto", None, fallback=True).platform == "cpu"


def test_apples_gpus_need_the_cpu_beside_them(unset: pytest.MonkeyPatch) -> None:
    unset.setattr(choice, "availability", lambda name: Availability(True, "plug-in"))
    unset.setenv("JAX_PLATFORMS", "mps")
    with pytest.raises(PlatformError, match="JAX_PLATFORMS=mps leaves out the CPU"):
        choose_platform("auto", None)


def test_the_variables_of_a_fallback_are_the_cpus(tmp_path: Path) -> None:
    """JAX_PLATFORMS=cuda,cpu would make JAX insist on cuda: it is narrowed."""
    code = """
import json
from ligo_cpc_snn.runtime import environment
report = environment.prepare("auto", 0.5, False, fallback=True)
environment.verify_platform(report)
import jax
print(json.dumps([report.platform, jax.default_backend(), report.line(),
                  report.variables["JAX_PLATFORMS"].value, report.inherited["JAX_PLATFORMS"]]))
"""
    own = {name: value for name, value in os.environ.items() if not name.startswith(CHOSEN_BY)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**own, "JAX_PLATFORMS": "mps,cpu", "LIGO_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout, done.stderr
    platform, backend, line, value, inherited = json.loads(done.stdout)
    assert (platform, backend, value, inherited) == ("cpu", "cpu", "cpu", "mps,cpu")
    assert "fallback: JAX_PLATFORMS=mps is not usable here" in line


def failed_with(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\n  9 GiB"), "RESOURCE_EXHAUSTED: Out"),
        (failed_with(ValueError("a step"), JaxRuntimeError("INTERNAL: lost")), "INTERNAL: lost"),
        (NotImplementedError("rule for 'eigh' not found for platform METAL"), "platform METAL"),
        (DeviceUnavailableError("platform cuda does not start"), "does not start"),
        (OutOfMemoryError("one window needs 9 GB of 8"), "one window needs"),
        (ValueError("data.window_seconds=0"), ""),
        (NotImplementedError("no such model"), ""),
        (FloatingPointError("the loss is not finite"), ""),
    ],
)
def test_a_failure_of_the_device_is_told_from_other_errors(
    error: BaseException, reason: str
) -> None:
    found = device_failure(error)
    assert reason in found
    assert bool(found) == bool(reason)
    assert "\n" not in found


def test_only_a_command_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In a notebook, a test or a worker the error stays what it was."""
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("this process was replaced"))
    lost = JaxRuntimeError("INTERNAL: the device is lost")
    go_on_with_cpu(lost, EnvironmentReport("cpu", ""))  # the CPU has no fallback
    go_on_with_cpu(ValueError("no device's fault"), EnvironmentReport("cuda", ""))
    assert not caplog.records
    go_on_with_cpu(lost, EnvironmentReport("cuda", ""))
    assert "no command of ligo_cpc_snn" in caplog.text
    monkeypatch.setattr(fallback, "_is_command", lambda: True)
    go_on_with_cpu(lost, EnvironmentReport("cuda", "", inherited={"JAX_PLATFORMS": "cuda"}))
    assert "JAX_PLATFORMS=cuda leaves it out" in caplog.text


# The command `ligo-search` whose first process believes to have a GPU, which fails for good at
# the second group of stretches; JAX computes on the CPU all the while.
COMMAND = """
import os, sys
from dataclasses import replace
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.wiring import search_command
first = "LIGO_FALLBACK_REASON" not in os.environ
prepare = environment.prepare

def believing(*arguments):
    return replace(prepare(*arguments), platform="cuda")

def watch(report):
    from jax.errors import JaxRuntimeError
    from ligo_cpc_snn.wiring import search, search_stretches
    search.write_candidates = lambda *_, **__: 0
    group, searched = search_stretches._search, []
    def watched(plan, engine, stretches):
        if first and searched:
            raise JaxRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS")
        searched.append(stretches)
        print("searched from", stretches[0][0], flush=True)
        return group(plan, engine, stretches)
    search_stretches._search = watched

environment.verify_platform = watch
if first:
    environment.prepare = believing
sys.exit(search_command.main())
"""


def test_a_search_whose_device_fails_goes_on_where_it_was(tmp_path: Path) -> None:
    detector = small_detector()
    small = replace(detector, params=nnx.to_pure_dict(detector.params))
    save_detector(tmp_path / "small.safetensors", small)
    with h5py.File(tmp_path / "noise.hdf", "w") as file:
        for gps in (1000, 1100, 1200):
            for name, segment in noise(16.0, gps=float(gps), seed=gps).items():
                file[f"{name}/{gps}"] = segment.strain
                file[f"{name}/{gps}"].attrs.update({"start_time": gps, "delta_t": 1 / RATE})
    (tmp_path / "ligo-search").write_text(COMMAND)
    own = {name: value for name, value in os.environ.items() if not name.startswith("LIGO_")}
    done = subprocess.run(
        [sys.executable, "ligo-search", "noise.hdf", "--detector", "small.safetensors", "--output",
         "found", "psd_seconds=8", "chunk_seconds=1", "streams=1", "stretch_seconds=16",
         "background.slides=0", "triggers.threshold=0.0", "report=false"],
        cwd=tmp_path,
        env={**own, "LIGO_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Two stretches are a group: the first process did one group, the second the other alone.
    starts = [line for line in done.stdout.splitlines() if line.startswith("searched from")]
    assert starts == ["searched from 1000.0", "searched from 1200.0"]
    assert len((tmp_path / "found" / "triggers.csv").read_text().splitlines()) > 2
    log = (tmp_path / "found" / "run.log").read_text()
    said = [line for line in log.splitlines() if "starting again on the CPU" in line]
    assert len(said) == 1
    assert "cuda failed: INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS" in said[0]
    assert "platform cpu (LIGO_PLATFORM=cpu, after a fallback: cuda failed: INTERNAL" in log
