"""A result of the benchmark as text and as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from ligo_cpc_snn.benchmarking.aims import CEILINGS_MS, judged, times

HEAD = ("stage", "median", "quartiles", "over reference", "times ours", "rate")
NOTE = """Reference: the matrix products of 4096 x 512 -> 256 -> 128 -> 2, forward and backward, in
the same rotation; `over reference` is the median over the rounds of the ratio within a round.
Quartiles tell how much the machine changed meanwhile."""


def as_text(result: Mapping[str, Any]) -> str:
    """Return the result as a table for a terminal."""
    lines = [_setting(result), _machine(result), _versions(result)]
    row = "{:47} {:>12} {:>21} {:>14} {:>10} {:>25}"
    lines.append(row.format(*HEAD).rstrip())
    lines += [row.format(*cells).rstrip() for cells in _rows(result)]
    return "\n".join([*lines, *_rest(result)])


def as_markdown(result: Mapping[str, Any], kind: str) -> str:
    """Return the result as a page of `experiments/benchmarks/`."""
    lines = [f"# Speed at scale {result['scale']} on {kind}", "", _setting(result), ""]
    lines += [f"| {' | '.join(HEAD)} |", "|---|---:|---:|---:|---:|---:|"]
    lines += [f"| {' | '.join(cells)} |" for cells in _rows(result)]
    lines += ["", NOTE, "", "## Against ceilings and aims", ""]
    lines += [f"- {line}" for line in _rest(result)]
    lines += ["", "## Where", "", f"- {_machine(result)}", f"- {_versions(result)}"]
    peers = " --peers" if result["peers"] else ""
    lines += [f"- made by `ligo-benchmark --scale {result['scale']}{peers} --save`"]
    return "\n".join(lines) + "\n"


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    stages = result["stages"]
    for name, row in stages.items():
        low, high = row["quartiles_ms"]
        ours = stages.get(name.partition(", ")[0])
        peer = f"{times(row, ours):.2f}" if ", " in name and ours else ""
        rate = f"{row['per_second']:,.4g} {row['unit']}/s" if "per_second" in row else ""
        yield (
            name,
            f"{row['median_ms']:.2f} ms",
            f"{low:.2f} - {high:.2f} ms",
            f"{row['ratio']:.3f}",
            peer,
            rate,
        )


def _rest(result: Mapping[str, Any]) -> list[str]:
    lines = [
        f"compilation of the training step {result['compilation_s']:.1f} s, "
        f"peak memory {result['peak_memory_gb']:.2f} GB"
    ]
    for aim in result["aims"]:
        bound = f"at {'most' if aim['at_most'] else 'least'} {aim['bound']:g}"
        told = "reached" if aim["reached"] else "not reached"
        lines.append(f"{aim['name']}: {aim['ratio']:.2f} times, aim {bound}: {told}")
    lines += [f"{name} left out: {reason}" for name, reason in result["absent"].items()]
    if not judged(result["scale"], result["machine"]["platform"]):
        return [*lines, "ceilings and aims are stated for --scale small on a CPU"]
    if result["missed"]:
        return [*lines, *(f"missed: {text}" for text in result["missed"])]
    ceilings = ", ".join(f"{name} {ms} ms" for name, ms in CEILINGS_MS.items())
    return [*lines, f"every ceiling ({ceilings}) and every aim that was measured is met"]


def _setting(result: Mapping[str, Any]) -> str:
    setting = result["setting"]
    snn = " -> ".join(map(str, setting["snn"][1:]))
    kernels = ", ".join(f"{name} {value}" for name, value in setting["kernels"].items())
    return (
        f"Batch {setting['batch']}, {setting['detectors']} detectors x {setting['samples']} "
        f"samples; spiking network alone ({setting['batch']}, {setting['snn'][0]} frames) {snn}; "
        f"search of {setting['search_seconds']:g} s, {setting['slides']} slides; "
        f"median of {setting['repeats']} calls, in turn; kernels: {kernels}."
    )


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    memory = machine["host_memory_bytes"] / 2**30
    return (
        f"{machine['device']} ({machine['platform']}), {machine['processor']}, "
        f"{machine['cores']} cores, {memory:.0f} GiB; load before {machine['load_before']:.1f}"
    )


def _versions(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items())
