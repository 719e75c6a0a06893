"""Measure the stages of a run against their ceilings: `ligo-benchmark`.

`ligo-benchmark data` compares the making of training data with PyCBC, ml4gw and gwpy.

Options beside the overrides of any config key, as model.snn.widths=[256,128]:
"""

import argparse
import json
import sys
from typing import Any

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import UserError

# The setting that the ceilings are stated for: batch of 16, 2 detectors, 1 s at 4096 Hz.
SETTING = [
    "training.batch_size=16",
    "data.sample_rate_hz=4096",
    "data.window_seconds=1.0",
    "trackers.progress=false",
]
CEILINGS_MS = {"data": 10, "cpc": 20, "snn": 30, "forward": 100, "training step": 200}
COMPILATION_CEILING_S = 10.0
MEMORY_CEILING_GB = 8.0
SPEEDUP_FLOOR = 1.7  # of the SNN over spyx.nn.run, forward and backward
REPEATS = 30


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit 1 when a ceiling or an aim is missed."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["data"]:
        from ligo_cpc_snn.benchmarking.data import main as compare_data

        return compare_data(arguments[1:])
    parser = argparse.ArgumentParser("ligo-benchmark", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed calls of each stage")
    parser.add_argument("overrides", nargs="*", help="config overrides, as seed=1")
    options = parser.parse_args(arguments)
    try:
        result = measure([*SETTING, *options.overrides], options.repeats)
    except (UserError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2) if options.json else as_table(result))
    return 1 if result["missed"] else 0


def measure(overrides: list[str], repeats: int) -> dict[str, Any]:
    """Measure all stages of a config and compare them with the ceilings."""
    cfg = load(overrides)
    from ligo_cpc_snn.runtime import environment

    runtime = cfg.runtime
    environment.prepare(runtime.platform.value, runtime.memory_fraction, cache=False)
    from ligo_cpc_snn.benchmarking import stages
    from ligo_cpc_snn.benchmarking.timing import time_together
    from ligo_cpc_snn.runtime.devices import describe_device, peak_memory_bytes

    setting = stages.prepare_setting(cfg)
    step, compilation = stages.training_step(setting)
    timings = time_together(stages.forward_stages(setting) | {"training step": step}, repeats)
    timings |= time_together(stages.snn_stages(setting), repeats)
    rows: dict[str, dict[str, Any]] = {
        name: {
            "median_ms": 1e3 * t.median,
            "quartiles_ms": [1e3 * t.low, 1e3 * t.high],
            "ceiling_ms": CEILINGS_MS.get(name),
        }
        for name, t in timings.items()
    }
    memory = peak_memory_bytes() / 1e9
    missed = [n for n, r in rows.items() if r["ceiling_ms"] and r["median_ms"] > r["ceiling_ms"]]
    missed += ["compilation"] if compilation > COMPILATION_CEILING_S else []
    missed += ["memory"] if memory > MEMORY_CEILING_GB else []
    speedup = {
        name: timings[f"{stage}, spyx.nn.run"].median / timings[stage].median
        for name, stage in (("forward", "snn"), ("forward and backward", "snn gradient"))
    }
    missed += ["speed-up over spyx"] if speedup["forward and backward"] < SPEEDUP_FLOOR else []
    return {
        "setting": {
            "batch": cfg.training.batch_size,
            "detectors": len(cfg.data.detectors),
            "samples": cfg.data.window_samples,
            "snn": f"{stages.SNN_CHANNELS} -> {' -> '.join(map(str, cfg.model.snn.widths))} -> 1",
            "machine": describe_device(),
        },
        "stages": rows,
        "compilation_s": compilation,
        "peak_memory_gb": memory,
        "speedup_over_spyx": speedup,
        "missed": missed,
    }


def as_table(result: dict[str, Any]) -> str:
    """Return the result as text."""
    setting = result["setting"]
    lines = [
        f"batch {setting['batch']}, {setting['detectors']} detectors "
        f"x {setting['samples']} samples; "
        f"SNN alone: {setting['snn']}",
        f"{'stage':28} {'median':>9} {'quartiles':>17} {'ceiling':>9}",
    ]
    for name, row in result["stages"].items():
        low, high = row["quartiles_ms"]
        ceiling = f"{row['ceiling_ms']:6.0f} ms" if row["ceiling_ms"] else ""
        lines.append(f"{name:28} {row['median_ms']:6.2f} ms {low:7.2f} - {high:7.2f} {ceiling:>9}")
    ratios = result["speedup_over_spyx"]
    lines += [
        f"{'compilation, training step':28} {result['compilation_s']:6.2f} s "
        f"{'':17} {COMPILATION_CEILING_S:6.0f} s",
        f"{'peak memory':28} {result['peak_memory_gb']:6.2f} GB "
        f"{'':16} {MEMORY_CEILING_GB:6.0f} GB",
        f"hoisted SNN over spyx.nn.run: {ratios['forward']:.2f} times forward, "
        f"{ratios['forward and backward']:.2f} times forward and backward",
        f"missed: {', '.join(result['missed'])}" if result["missed"] else "every ceiling is met",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
