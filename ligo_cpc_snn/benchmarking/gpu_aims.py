"""What is aimed at on an H200, measured in one go: `scripts/h200.py`, see --help.

Kernels against the plain way (and their own tests), the training step by kernel and by steps per
dispatch, its share of the device's peak, and the search: the network alone and with whitening.
Aims: 1 ms a training step and 100 000 times real time in the search. `--tiny` runs the same on any
machine in a minute, to see that the script works.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import UserError

# The training step's setting: batch of 16, 2 detectors, 1 s at 4096 Hz.
SETTING = ["training.batch_size=16", "data.sample_rate_hz=4096", "data.window_seconds=1.0"]
TINY = [
    "training.batch_size=2", "data.sample_rate_hz=512", "data.window_seconds=0.5",
    "data.highpass_hz=30", "data.psd_segment_seconds=2", "data.filter_seconds=1",
    "data.signals.duration_seconds=4", "data.signals.population.mass_1.low=25",
    "data.signals.population.mass_2.low=25", "model.encoder.patch=16", "model.encoder.stride=8",
    "model.encoder.features=8", "model.context.features=8", "model.context.dilations=[1]",
    "model.snn.widths=[8]", "training.infonce.steps=2", "training.infonce.anchors=4",
]  # fmt: skip
STEP_AIM_MS, SEARCH_AIM = 1.0, 1e5  # a training step; times real time
PACKAGES = ("jax", "jaxlib", "flax", "spyx", "ligo-cpc-snn")
TESTS = ("tests/test_kernels*.py", "tests/test_golden_stages*.py", "tests/test_out_of_memory*.py")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write JSON; exit 1 when an aim is missed (never with --tiny)."""
    parser = argparse.ArgumentParser("h200.py", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small shapes, on any device")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--repeats", type=int, default=50, help="timed calls of each function")
    parser.add_argument("--no-tests", action="store_true", help="leave out the kernels' own tests")
    parser.add_argument("overrides", nargs="*", help="of any config key")
    options = parser.parse_args(arguments)
    try:
        result = measure(options)
    except (UserError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    failed = result["tests"].get("exit_code", 0) != 0 or bool(result["missed"])
    return 1 if failed and not options.tiny else 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return everything measured."""
    setting = [*SETTING, *(TINY if options.tiny else [])]
    cfg = load([*setting, *options.overrides])
    from ligo_cpc_snn.runtime import environment

    runtime = cfg.runtime
    report = environment.prepare(runtime.platform.value, runtime.memory_fraction, cache=True)
    environment.verify_platform(report)
    tests = {"skipped": "--no-tests"} if options.no_tests else kernel_tests()
    from ligo_cpc_snn.benchmarking import gpu_search, gpu_steps
    from ligo_cpc_snn.runtime.devices import describe_device, peak_memory_bytes

    repeats = 3 if options.tiny else options.repeats
    steps = gpu_steps.measure_steps(cfg, repeats, dispatches=(1, 2) if options.tiny else (1, 8, 32))
    search = gpu_search.measure_search(cfg, repeats, tiny=options.tiny)
    result = {
        "machine": describe_device(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "setting": {
            "batch": cfg.training.batch_size,
            "detectors": len(cfg.data.detectors),
            "samples": cfg.data.window_samples,
            "tiny": options.tiny,
        },
        "tests": tests,
        **steps,
        "search": search,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    return result | {"missed": missed(result)}


def kernel_tests() -> dict[str, Any]:
    """Run the tests that need a GPU in a process of their own, where the checkout has them."""
    root = Path(__file__).resolve().parents[2]
    files = [str(path) for pattern in TESTS for path in sorted(root.glob(pattern))]
    if not files:
        return {"skipped": f"no tests in {root}: run this script from a checkout"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    last = [line for line in done.stdout.splitlines() if line.strip()][-1:]
    # 5: no test was collected that needs a GPU.
    code = 0 if done.returncode == 5 else done.returncode
    return {"exit_code": code, "summary": "".join(last), "output": done.stdout[-4000:] * bool(code)}


def missed(result: Mapping[str, Any]) -> list[str]:
    """Return the aims that were not reached, each with its number."""
    fastest = min(row["step_ms"] for row in result["steps"])
    quickest = max(row["times_real_time"] for row in result["search"])
    found = []
    if fastest > STEP_AIM_MS:
        found.append(f"training step: {fastest:.3f} ms, aim {STEP_AIM_MS:g} ms")
    if quickest < SEARCH_AIM:
        found.append(f"search: {quickest:,.0f} times real time, aim {SEARCH_AIM:,.0f}")
    found += [
        f"{row['kernels']} differs from plain by {row['difference']:.2g}, "
        f"tolerance {row['tolerance']:.2g}"
        for row in result["agreement"]
        if not row["difference"] <= row["tolerance"]  # a NaN agrees with nothing
    ]
    return found


def lines(result: Mapping[str, Any]) -> list[str]:
    """Return the numbers as text."""
    machine, setting = result["machine"], result["setting"]
    tests = result["tests"]
    text = [
        f"{machine['device']} ({machine['platform']}), jax {result['versions']['jax']}; batch "
        f"{setting['batch']}, {setting['detectors']} detectors x {setting['samples']} samples",
        f"tests marked gpu: {tests.get('summary') or tests['skipped']}",
        "",
        f"{'training step':44} {'ms':>8} {'examples/s':>11} {'TFLOP/s':>8} {'of peak':>8}",
    ]
    for row in result["steps"]:
        name = f"{row['kernels']}, {row['steps_per_dispatch']} per dispatch"
        text.append(
            f"{name:44} {row['step_ms']:8.3f} {row['examples_per_second']:11,.0f} "
            f"{row['tflops']:8.3f} {row['share_of_peak']:8.2%}"
        )
    text += [f"{row['kernels']}: left out, {row['reason']}" for row in result["left_out"]]
    text += ["", f"{'largest difference from plain':44} {'relative':>9} {'tolerance':>10}"]
    text += [
        f"{row['kernels']:44} {row['difference']:9.1e} {row['tolerance']:10.0e}"
        for row in result["agreement"]
    ]
    text += ["", f"{'search':44} {'h of strain / s':>15} {'x real time':>12}"]
    text += [
        f"{row['name']:44} {row['hours_per_second']:15.3f} {row['times_real_time']:12,.0f}"
        for row in result["search"]
    ]
    peaks = ", ".join(f"{name} {value:.3g} TFLOP/s" for name, value in result["peaks"].items())
    text += ["", f"peaks: {peaks}; memory {result['peak_memory_bytes'] / 1e9:.2f} GB"]
    return [*text, *(f"missed: {what}" for what in result["missed"] or ["nothing"])]
