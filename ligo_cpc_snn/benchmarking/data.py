"""Compare our training data with those of PyCBC, ml4gw and gwpy: `ligo-benchmark data`.

All measure on the same cores, in one run, taking turns. Options beside the overrides of
any config key, as data.window_seconds=8:
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from ligo_cpc_snn.benchmarking.data_setting import LONG_SECONDS, Candidate, why_absent
from ligo_cpc_snn.benchmarking.data_tables import as_markdown, as_text
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.runtime.versions import installed_of

SETTING = ["runtime.platform=cpu", "data.sample_rate_hz=2048", "data.window_seconds=4.0"]
REPEATS = 10
COLD_STARTS = 3
COMPARED = 16  # sources on which the programs must agree
FIRST_BATCH_CEILING_S = 10.0
# (task, peer, how its way begins, how many times faster we are to be)
AIMS = (
    ("signals", "PyCBC", "get_td_waveform", 15.0),
    ("signals", "ml4gw", "", 3.0),
    ("noise", "PyCBC", "", 15.0),
)
PEERS = {"PyCBC": ("pycbc", "lalsimulation"), "ml4gw": ("torch", "ml4gw"), "gwpy": ("gwpy",)}
OURS = ("ligo-cpc-snn", "jax", "jaxlib", "ripplegw")
THEIRS = ("numpy", "scipy", "pycbc", "lalsuite", "ml4gw", "torch", "gwpy")

Tasks = dict[str, list[Candidate]]


def main(arguments: Sequence[str]) -> int:
    """Print the comparison; exit 1 when an aim is missed."""
    parser = argparse.ArgumentParser("ligo-benchmark data", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed calls of each")
    parser.add_argument("overrides", nargs="*", help="config overrides, as seed=1")
    options = parser.parse_args(arguments)
    try:
        result = measure(options.overrides, options.repeats)
    except (UserError, ValueError) as error:
        return in_one_line(error)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(as_markdown(result) if options.markdown else as_text(result))
    return 1 if result["missed"] else 0


def measure(overrides: Sequence[str], repeats: int) -> dict[str, Any]:
    """Measure every program that is installed, and judge the aims."""
    cfg = load([*SETTING, *overrides])
    if cfg.data.signals.approximant is not Approximant.IMRPhenomD:
        raise ConfigError(
            f"data.signals.approximant={cfg.data.signals.approximant.value}: the programs are "
            "compared on IMRPhenomD"
        )
    from ligo_cpc_snn.benchmarking.first_batch import cold_start

    starts = [
        cold_start([SETTING[0], *overrides]) for _ in range(min(repeats, COLD_STARTS))
    ]  # first, while nothing of ours runs beside it
    first = sorted(starts, key=lambda start: start["first batch"])[len(starts) // 2]
    result = compare(cfg, repeats) | {"first_batch": first, "versions": versions()}
    return result | {"missed": missed(result)}


def compare(cfg: Config, repeats: int) -> dict[str, Any]:
    """Measure the programs in this process and its children, in turn."""
    from ligo_cpc_snn.runtime import environment

    environment.prepare(cfg.runtime.platform.value, cfg.runtime.memory_fraction, cache=False)
    from ligo_cpc_snn.benchmarking import own_data
    from ligo_cpc_snn.runtime.devices import describe_device
    from ligo_cpc_snn.runtime.machine import usable_cores

    cores = usable_cores()
    absent = {peer: reason for peer, names in PEERS.items() if (reason := why_absent(*names))}
    setting, strain = own_data.make_setting(cfg.data, cfg.seed)
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(cores))
        tasks: Tasks = {
            "signals": own_data.signals(setting, cfg.data),
            "noise": own_data.noise(setting, threads, cores),
        }
        whitening = [own_data.whitening(setting, cfg.data, threads)]
        agreements: dict[str, Any] = {}
        if "PyCBC" not in absent:
            from ligo_cpc_snn.benchmarking import pycbc_peer

            agreements |= pycbc_peer.agreements(setting, strain, COMPARED)
            pool = stack.enter_context(pycbc_peer.PycbcProcesses(setting, cores))
            tasks["signals"] += pool.signals()
            tasks["noise"] += pool.noise()
        if "ml4gw" not in absent:
            from ligo_cpc_snn.benchmarking.ml4gw_peer import Ml4gw

            ml4gw = Ml4gw(setting, cores)
            agreements |= ml4gw.agreements(strain, COMPARED)
            tasks["signals"] += ml4gw.signals()
            tasks["noise"] += ml4gw.noise()
            whitening.append(ml4gw.whitening(cfg.data.filter_seconds))
        if "gwpy" not in absent:
            from ligo_cpc_snn.benchmarking import gwpy_peer

            whitening.append(gwpy_peer.whitening(setting, cfg.data.filter_seconds, threads))
        for seconds in (setting.window_seconds, LONG_SECONDS):
            tasks[f"whitening of {seconds:g} s"] = [c for w in whitening for c in w[seconds]]
        rows = {task: _timed(candidates, repeats) for task, candidates in tasks.items()}
    described = {
        "window_seconds": setting.window_seconds,
        "sample_rate_hz": setting.sample_rate_hz,
        "detectors": list(setting.detectors),
        "lowest_hz": setting.lowest_hz,
        "repeats": repeats,
        "cores": cores,
        "machine": describe_device(),
    }
    return {"setting": described, "tasks": rows, "agreement": agreements, "absent": absent}


def _timed(candidates: Sequence[Candidate], repeats: int) -> list[dict[str, Any]]:
    from ligo_cpc_snn.benchmarking.timing import time_together

    numbered = {str(i): candidate.run for i, candidate in enumerate(candidates)}
    timings = time_together(numbered, repeats).values()
    return [_row(candidate, timing) for candidate, timing in zip(candidates, timings, strict=True)]


def _row(candidate: Candidate, timing: Any) -> dict[str, Any]:
    return {
        "program": candidate.program,
        "how": candidate.how,
        "per_second": candidate.items / timing.median,
        "quartiles": [candidate.items / timing.high, candidate.items / timing.low],
    }


def missed(result: Mapping[str, Any]) -> list[str]:
    """Return the aims that were measured and not reached."""
    found = []
    for task, peer, how, aim in AIMS:
        ratio = speed_up(result["tasks"][task], peer, how)
        if ratio is not None and ratio < aim:
            found.append(f"{task}: {ratio:.1f} times {peer}, aim {aim:g}")
    different = [name for name, a in result["agreement"].items() if not a["same"]]
    found += [f"{name} makes other signals than we do" for name in different]
    seconds = result["first_batch"]["first batch"]
    if seconds > FIRST_BATCH_CEILING_S:
        found.append(f"first batch: {seconds:.1f} s, aim {FIRST_BATCH_CEILING_S:g} s")
    return found


def speed_up(rows: Sequence[Mapping[str, Any]], peer: str, how: str = "") -> float | None:
    """Return our best rate over the peer's best of the ways that begin with `how`."""
    ours = max(row["per_second"] for row in rows if row["program"] == "ligo_cpc_snn")
    theirs = [
        row["per_second"] for row in rows if row["program"] == peer and row["how"].startswith(how)
    ]
    return ours / max(theirs) if theirs else None


def versions() -> dict[str, str]:
    """Return the versions of what was measured; a package that is not installed is left out."""
    return installed_of((*OURS, *THEIRS)) | {"python": sys.version.split()[0]}
