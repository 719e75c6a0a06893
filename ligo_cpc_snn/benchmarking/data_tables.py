"""The comparison of data makers as text and as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

COMMAND = "ligo-benchmark data --markdown"


def as_text(result: Mapping[str, Any]) -> str:
    """Return the result as a table for a terminal."""
    lines = [_setting(result), _machine(result), _versions(result), ""]
    for task, rows in result["tasks"].items():
        lines.append(f"{_title(task, result)}, per second")
        for row in _rows(rows):
            lines.append(f"  {row[0]:13} {row[1]:50} {row[2]:>9} {row[3]:>19} {row[4]:>7}")
    lines += [*_absent(result), "", *_agreement(result), *_first_batch(result), *_verdict(result)]
    return "\n".join(lines)


def as_markdown(result: Mapping[str, Any]) -> str:
    """Return the result as the body of `experiments/benchmarks/data.md`."""
    lines = ["# Training data, compared", "", _setting(result), ""]
    for task, rows in result["tasks"].items():
        lines += [f"## {_title(task, result)}", ""]
        lines += ["| program | how | per second | quartiles | we are faster by |"]
        lines += ["|---|---|---:|---:|---:|"]
        lines += [f"| {' | '.join(row)} |" for row in _rows(rows)]
        lines.append("")
    lines += ["## The same signals", "", *(f"- {line}" for line in _agreement(result)), ""]
    lines += ["## First batch", "", *_first_batch(result), ""]
    verdict = [*_absent(result), *_verdict(result)]
    lines += ["## Against the aims", "", *(f"- {line}" for line in verdict), ""]
    lines += ["## Where", "", f"- {_machine(result)}", f"- {_versions(result)}"]
    lines += [f"- made by `{COMMAND}` in an environment with the `bench` extra"]
    return "\n".join(lines)


def _title(task: str, result: Mapping[str, Any]) -> str:
    setting = result["setting"]
    window = f"{setting['window_seconds']:g} s at {setting['sample_rate_hz']} Hz"
    if task == "signals":
        return f"Whitened signals, {len(setting['detectors'])} detectors, {window}"
    if task == "noise":
        return f"Coloured noise, one detector, {window}"
    return f"{task[:1].upper()}{task[1:]} of strain, one detector"


def _setting(result: Mapping[str, Any]) -> str:
    setting = result["setting"]
    return (
        f"Median of {setting['repeats']} calls of each, in turn in one run. Every program has the "
        f"same {setting['cores']} cores: JAX and torch use them by themselves, PyCBC has a process "
        "on each, our and gwpy's functions on the host a thread on each. IMRPhenomD from "
        f"{setting['lowest_hz']:g} Hz, the same population, PSD and whitening filter."
    )


def _rows(rows: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str, str]]:
    ours = max(row["per_second"] for row in rows if row["program"] == "ligo_cpc_snn")
    for row in rows:
        low, high = row["quartiles"]
        own = row["program"] == "ligo_cpc_snn"
        ratio = "" if own else f"{ours / row['per_second']:.2g}"
        range_ = f"{_number(low)} - {_number(high)}"
        yield row["program"], row["how"], _number(row["per_second"]), range_, ratio


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["setting"]["machine"]
    memory = machine["host_memory_bytes"] / 2**30
    return f"{machine['processor']}, {result['setting']['cores']} cores, {memory:.0f} GiB"


def _versions(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items())


def _absent(result: Mapping[str, Any]) -> list[str]:
    return [f"{peer} left out: {reason}" for peer, reason in result["absent"].items()]


def _agreement(result: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: optimal SNR in each detector within {100 * a['snr_difference']:.2g} % of ours, "
        f"overlap of the whitened signals at least {a['overlap']:.4f}"
        for name, a in result["agreement"].items()
    ] or ["no peer to compare the signals with"]


def _first_batch(result: Mapping[str, Any]) -> list[str]:
    first = result["first_batch"]
    parts = ("imports and platform", "banks", "sampler compiled and run")
    return [
        f"first batch {first['first batch']:.1f} s after a cold start with an empty compilation "
        f"cache ({', '.join(f'{p} {first[p]:.1f} s' for p in parts)}): banks of "
        f"{first['signals']:.0f} signals and {first['noise seconds']:.0f} s of noise"
    ]


def _verdict(result: Mapping[str, Any]) -> list[str]:
    if not result["missed"]:
        return ["every aim that was measured is reached"]
    return [f"missed: {text}" for text in result["missed"]]
