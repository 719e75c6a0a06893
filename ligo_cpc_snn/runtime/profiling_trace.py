"""JAX's profiler trace as plain events: which operation ran when, on which line.

The trace itself stays in its folder for Perfetto (ui.perfetto.dev), XProf or TensorBoard; what
the report needs is read here with JAX's own reader.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

EVENTS_KEPT = 3000  # of the flame chart: the longest
OPERATIONS_KEPT = 25

# `%fusion.3 = ... metadata={op_name="jit(step)/encoder/dot_general" ...}` of a compiled program.
_INSTRUCTION = re.compile(r'%?([\w.\-]+) = .*?op_name="([^"]+)"')


class Event(NamedTuple):
    """One event of the trace, ns since the trace began; `operation` if it is one of XLA's."""

    line: str
    name: str
    begin: float
    duration: float
    operation: bool


def source_names(text: str) -> dict[str, str]:
    """Return where each operation of a program comes from in the Python source.

    Args:
        text: of the compiled program (`compiled.as_text()`).
    """
    found = (_INSTRUCTION.search(line) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match}


def trace_file(folder: Path) -> Path | None:
    """Return the newest trace below a folder, None if there is none."""
    files = sorted(folder.rglob("*.xplane.pb"), key=lambda file: file.stat().st_mtime)
    return files[-1] if files else None


def read_events(file: Path) -> list[Event]:
    """Return the events of a trace that lasted, in the order they began."""
    trace = jax.profiler.ProfileData.from_file(str(file))
    return sorted(_events(trace), key=lambda event: event.begin)


def _events(trace: Any) -> Iterator[Event]:
    for plane in trace.planes:
        for line in plane.lines:
            place = f"{plane.name.removeprefix('/')} {line.name.split('/')[0]}"
            # Threads of a pool have one name: their numbers keep them apart.
            number = line.name.partition("/")[2]
            for event in line.events:
                if event.duration_ns <= 0 or event.name.startswith("end: "):
                    continue
                operation = any(key == "hlo_op" for key, _ in event.stats)
                yield Event(
                    f"{place} {number[-4:]}".strip(),
                    event.name,
                    float(event.start_ns),
                    float(event.duration_ns),
                    operation,
                )


def summarise(events: list[Event], name: str, sources: dict[str, str]) -> dict[str, Any]:
    """Return what the report shows: the last traced call, and the operations that took longest.

    Args:
        events: of the whole trace.
        name: of the traced program; its calls are events of this name.
        sources: of its operations (`source_names`).

    Returns:
        `calls`, `events` of the last call (s since it began), `operations` (s per call).
    """
    calls = [event for event in events if event.name == name]
    if not calls:
        return {"program": name, "calls": 0, "seconds": 0.0, "events": [], "operations": []}
    last = calls[-1]
    inside = [e for e in events if last.begin <= e.begin < last.begin + last.duration]
    longest = sorted(inside, key=lambda e: -e.duration)[:EVENTS_KEPT]
    return {
        "program": name,
        "calls": len(calls),
        "seconds": last.duration * 1e-9,
        "events": [
            {
                "line": e.line,
                "name": e.name,
                "begin": (e.begin - last.begin) * 1e-9,
                "seconds": e.duration * 1e-9,
                "operation": e.operation,
            }
            for e in sorted(longest, key=lambda e: e.begin)
        ],
        "operations": _operations(events, calls, sources),
    }


def _operations(
    events: list[Event], calls: list[Event], sources: dict[str, str]
) -> list[dict[str, Any]]:
    """Sum XLA's operations by name over all calls; a loop's time includes its body's."""
    seconds: dict[str, float] = {}
    runs: dict[str, int] = {}
    first, end = calls[0].begin, calls[-1].begin + calls[-1].duration
    for event in events:
        if event.operation and first <= event.begin < end:
            seconds[event.name] = seconds.get(event.name, 0.0) + event.duration * 1e-9
            runs[event.name] = runs.get(event.name, 0) + 1
    longest = sorted(seconds, key=lambda name: -seconds[name])[:OPERATIONS_KEPT]
    return [
        {
            "name": name,
            "source": sources.get(name, ""),
            "seconds": seconds[name] / len(calls),
            "runs": runs[name] / len(calls),
        }
        for name in longest
    ]
