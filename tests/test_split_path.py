"""Complex and 64-bit numbers on the CPU, the network on a device that has none (design, 2).

Two CPU devices stand for the two, see split_path.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CPU, OTHER = 0, 1


def run(part: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "split_path.py"), str(folder), part],
        env={**os.environ, "JAX_PLATFORMS": "cpu",
             "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(seen: dict[str, Any]) -> None:
    """All programs with wide numbers, and all such arrays, are the CPU's."""
    wide = [(name, devices) for name, devices, is_wide in seen["programs"] if is_wide]
    assert wide
    assert [(name, devices) for name, devices in wide if devices != [CPU]] == []
    assert seen["wide_arrays"] == [CPU]


@pytest.mark.slow
def test_a_training_splits_between_its_devices(tmp_path: Path) -> None:
    seen = run("train", tmp_path / "run")
    check(seen)
    steps = [devices for name, devices, _ in seen["programs"] if "step" in name]
    assert steps
    assert all(devices == [OTHER] for devices in steps)
    # The only programs on the CPU are those of signals: the network has none there.
    narrow = [name for name, devices, is_wide in seen["programs"] if CPU in devices and not is_wide]
    assert not [name for name in narrow if "step" in name or "score" in name or "validate" in name]


def test_what_a_matched_filter_and_injections_compute_is_the_cpus(tmp_path: Path) -> None:
    seen = run("search", tmp_path)
    check(seen)
    names = {name for name, _, _ in seen["programs"]}
    assert {"jit__peaks", "jit__spectra", "jit_traced_polarizations"} <= names
