"""The lines of `metrics.jsonl` as curves."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ligo_cpc_snn.reading.text import parse_json

_KEYS = {"step", "phase", "split", "time"}


@dataclass
class History:
    """Logged values of a run, one row per line of `metrics.jsonl`."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    broken_lines: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows)

    def names(self) -> list[str]:
        """Return the names of all numbers logged, in the order they first appear."""
        found = {
            name: None
            for row in self.rows
            for name, value in row.items()
            if name not in _KEYS and isinstance(value, int | float)
        }
        return list(found)

    def series(
        self, name: str, split: str
    ) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Return (steps, values) of a number in one split, finite values only, a step once."""
        points = {
            row["step"]: float(row[name])
            for row in self.rows
            if row.get("split") == split and isinstance(row.get(name), int | float)
        }
        steps = sorted(step for step, value in points.items() if math.isfinite(value))
        return np.array(steps, dtype=int), np.array([points[step] for step in steps], dtype=float)

    def last(self, name: str, split: str = "train") -> float | None:
        """Return the last finite value of a number, None if there is none."""
        _, values = self.series(name, split)
        return float(values[-1]) if len(values) else None

    def non_finite(self) -> list[tuple[str, int]]:
        """Return (name, step) of the first non-finite value of each number that has one."""
        first: dict[str, int] = {}
        for row in self.rows:
            for name in row.keys() - _KEYS:
                value = row[name]
                if value is None or (isinstance(value, float) and not math.isfinite(value)):
                    first.setdefault(name, row["step"])
        return sorted(first.items(), key=lambda item: item[1])

    def phases(self) -> list[tuple[str, int, int]]:
        """Return (phase, first step, last step), contiguous and in order."""
        spans: dict[str, int] = {}
        for row in self.rows:
            if row.get("phase"):
                spans[row["phase"]] = max(row["step"], spans.get(row["phase"], 0))
        ordered = sorted(spans.items(), key=lambda item: item[1])
        starts = [0, *(last for _, last in ordered)]
        return [(phase, first, last) for (phase, last), first in zip(ordered, starts, strict=False)]


def read_history(path: Path) -> History:
    """Read `metrics.jsonl`; lines that a kill left half-written are counted, not read."""
    history = History()
    for line in path.read_text("utf-8").splitlines():
        try:
            row = parse_json(line)
        except ValueError:
            history.broken_lines += 1
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            history.rows.append(row)
        else:
            history.broken_lines += 1
    if not history.rows:
        raise ValueError("it holds no line with a step")
    return history
