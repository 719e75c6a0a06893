"""The stages of a profile as a table for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

DEEPEST = 4  # levels of stages shown


def print_stages(record: Mapping[str, Any]) -> None:
    """Print time and memory of each stage, those inside a stage below it."""
    table = Table("stage", box=None)
    for heading in ("calls", "seconds", "own", "cores", "peak MB", "grew MB"):
        table.add_column(heading, justify="right")
    for stage in record["stages"]:
        depth = len(stage["path"]) - 1
        if depth < DEEPEST:
            table.add_row("  " * depth + stage["path"][-1], *_numbers(stage))
    Console(width=None if Console().is_terminal else 120).print(table)


def _numbers(stage: Mapping[str, Any]) -> list[str]:
    seconds = stage["seconds"]
    peak = stage["device_peak"] or stage["resident_peak"]
    return [
        str(stage["calls"]),
        f"{seconds:.3f}",
        f"{stage['self_seconds']:.3f}",
        f"{stage['cpu_seconds'] / max(seconds, 1e-9):.1f}",
        f"{peak / 1e6:.0f}",
        f"{stage['resident_growth'] / 1e6:+.0f}",
    ]
