"""What a measurement of sensitivity has saved, as its figures and page need it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ligo_cpc_snn.reading.arrays import load_arrays
from ligo_cpc_snn.reading.text import read_json

REFERENCE_PER_MONTH = 1000.0  # figures of one rate take the highest that is at most this


@dataclass(frozen=True)
class SearchScore:
    """One search: its name, its numbers, and its curves and statistics."""

    name: str
    summary: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def reference(self) -> dict[str, Any] | None:
        """The rate that figures of one rate show; None where none was resolved."""
        rates = self.summary["rates"]
        low = [r for r in rates if r["false_alarms"]["asked_per_month"] <= REFERENCE_PER_MONTH]
        return low[-1] if low else (rates[0] if rates else None)

    @property
    def found(self) -> np.ndarray:
        """Which injections are found at the reference rate."""
        if self.reference is None:
            return np.zeros(self.arrays["statistic"].size, bool)
        threshold = self.reference["false_alarms"]["threshold"]
        return self.arrays["statistic"] > (-np.inf if threshold is None else threshold)


@dataclass(frozen=True)
class SensitivityFiles:
    """The folder, `sensitivity.json`, and the arrays of `sensitivity.npz`."""

    folder: Path
    summary: dict[str, Any]
    injections: dict[str, np.ndarray]
    searches: list[SearchScore]

    @property
    def reference_per_month(self) -> float | None:
        """The rate of figures that show one rate."""
        shown = [search.reference for search in self.searches]
        return next((r["false_alarms"]["asked_per_month"] for r in shown if r is not None), None)


def read_sensitivity(folder: str | Path) -> SensitivityFiles:
    """Read the files of a measurement.

    Raises:
        FileNotFoundError: One of them is not there.
    """
    folder = Path(folder)
    for name in ("sensitivity.json", "sensitivity.npz"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: no such file; the measurement writes it")
    summary = read_json(folder / "sensitivity.json")
    arrays = load_arrays(folder / "sensitivity.npz")
    searches = [
        SearchScore(name, numbers, _under(arrays, f"search_{number}/"))
        for number, (name, numbers) in enumerate(summary["searches"].items())
    ]
    return SensitivityFiles(folder, summary, _under(arrays, "injections/"), searches)


def _under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
