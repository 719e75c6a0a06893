"""What `ligo-optimize` measured, as tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 140  # where the output is no terminal


def print_entries(entries: Sequence[tuple[Mapping[str, Any], str]]) -> None:
    """Print each entry of the store with the races behind it.

    Args:
        entries: fields of `runtime.tuning_store.Entry`, and why it has expired (empty: it has
            not).
    """
    console = Console(width=None if Console().is_terminal else WIDTH)
    for entry, expired in entries:
        for line in heading(entry, expired):
            console.print(line, markup=False, highlight=False)
        console.print(_table(entry))


def heading(entry: Mapping[str, Any], expired: str) -> list[str]:
    """Return the lines above a table: what was measured, where, and what was chosen."""
    chosen = ", ".join(f"{name}={value}" for name, value in entry["choice"].items())
    shapes = ", ".join(f"{name} {value}" for name, value in entry["shapes"].items())
    versions = ", ".join(f"{name} {value}" for name, value in entry["versions"].items())
    speed = f"{_time(entry['seconds'])} per {entry['unit']}"
    gain = f"{entry['speedup']:.2f} times the heuristic's speed"
    return [
        f"{entry['workload']} on {entry['device']} ({entry['platform']})",
        f"  of {shapes}",
        f"  measured {entry['measured']} with {versions}",
        f"  EXPIRED, not used: {expired}" if expired else "  in force",
        f"  chosen: {chosen}",
        f"  {speed}, {gain if entry['speedup'] != 1 else 'as the heuristic has it'}",
    ]


def _table(entry: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=True)
    table.add_column("candidate")
    table.add_column("time", justify="right")
    table.add_column("ratio to", justify="right")
    table.add_column("of")
    table.add_column("quartiles", justify="right")
    table.add_column("differs by", justify="right")
    table.add_column("verdict")
    for row in entry["table"]:
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row's cells; a candidate that was not raced has a verdict alone."""
    apart = row.get("difference")
    told = "" if apart is None else f"{apart:.1e}"
    if "ratio" not in row:
        return [row["candidate"], "", "", "", "", told, row["verdict"]]
    quartiles = f"{row['low']:.3f} - {row['high']:.3f}"
    time = _time(row["seconds"])
    return [
        row["candidate"],
        time,
        f"{row['ratio']:.3f}",
        row["against"],
        quartiles,
        told,
        row["verdict"],
    ]


def _time(seconds: float) -> str:
    """Return a time with a unit in which it is no tiny number."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
