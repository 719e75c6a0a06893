"""The saved files of a search, read with what is missing or broken said plainly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ligo_cpc_snn.reading.arrays import load_arrays
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_hdf5
from ligo_cpc_snn.reading.text import read_json

T = TypeVar("T")
Arrays = dict[str, np.ndarray]

COLUMNS = (
    "time",
    "statistic",
    "far_per_year",
    "ifar_years",
    "far_low_per_year",
    "far_high_per_year",
    "p_value",
    "extrapolated",
    "nearest_event",
    "nearest_event_offset_seconds",
)
CONTENTS = {
    "search.json": "what was searched, with which detector",
    "triggers.hdf5": "the triggers",
    "background.npz": "the background of time slides",
    "candidates.npz": "strain and statistic around the loudest triggers",
}


@dataclass
class SearchFiles:
    """What the folder of a search holds; an absent part is empty and named in `missing`."""

    folder: Path
    record: dict[str, Any] = field(default_factory=dict)
    triggers: Arrays = field(default_factory=dict)
    background: Arrays = field(default_factory=dict)
    candidates: Arrays = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def get(self, path: str, default: Any = None) -> Any:
        """Return a value of search.json by its dotted name; null counts as absent."""
        value: Any = self.record
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return default if value is None else value

    @property
    def detectors(self) -> list[str]:
        return [str(name) for name in self.get("detector.detectors", [])]

    @property
    def loudest_first(self) -> list[int]:
        """Rows of the triggers, the loudest first."""
        return [int(i) for i in np.argsort(-self.triggers["statistic"], kind="stable")]

    @property
    def background_seconds(self) -> float:
        """Live time of the background, s; 0 where there is none."""
        return float(self.background["seconds"]) if self.background else 0.0

    @property
    def searched_seconds(self) -> float:
        return float(self.get("seconds.analysed", 0.0))

    def louder_in_background(self, row: int) -> int:
        """Return how many background triggers are at least as loud as a trigger."""
        return int(np.sum(self.background["statistic"] >= self.triggers["statistic"][row]))

    def event_of(self, row: int) -> str:
        """Return the catalogue's event that a trigger is close enough to, or nothing."""
        offset = abs(float(self.triggers["nearest_event_offset_seconds"][row]))
        near = offset <= float(self.get("timing_seconds", 0.3))
        return str(self.triggers["nearest_event"][row]) if near else ""


def read_search(folder: str | Path) -> SearchFiles:
    """Read the output folder of a search.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder {folder} does not exist: give the folder of a search")
    missing: list[str] = []
    record: dict[str, Any] = _read(folder / "search.json", _read_record, {}, missing)
    none = {name: np.zeros(0) for name in COLUMNS}
    triggers = _read(folder / "triggers.hdf5", _read_triggers, none, missing)
    found = SearchFiles(folder, record, triggers, missing=missing)
    if (folder / "background.npz").exists() or found.get("background.slides", 0):
        found.background = _read(folder / "background.npz", _read_background, {}, missing)
    if (folder / "candidates.npz").exists() or triggers["time"].size:
        found.candidates = _read(folder / "candidates.npz", _read_candidates, {}, missing)
    return found


def _read(path: Path, reader: Callable[[Path], T], empty: T, missing: list[str]) -> T:
    """Return a file's content, or `empty` with the reason added to `missing`."""
    try:
        return reader(path)
    except FileNotFoundError:
        missing.append(f"{path.name}, {CONTENTS[path.name]}: the search did not write it.")
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, FileContentError) else error
        missing.append(f"{path.name}, {CONTENTS[path.name]}: unreadable ({why}).")
    return empty


def _read_record(path: Path) -> dict[str, Any]:
    record = read_json(path)
    if not isinstance(record, dict):
        raise ValueError(f"expected an object at the top, found {type(record).__name__}")
    return record


def _read_triggers(path: Path) -> Arrays:
    with open_hdf5(path) as file:
        columns = {name: np.asarray(file[name][()]) for name in file}
    absent = [name for name in COLUMNS if name not in columns]
    if absent:
        raise ValueError(f"columns {', '.join(absent)} are not in it")
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in columns["nearest_event"]]
    return columns | {"nearest_event": np.array(names, dtype=object)}


def _read_background(path: Path) -> Arrays:
    return _arrays(path, ("statistic", "seconds", "slides", "zero_lag_seconds"))


def _read_candidates(path: Path) -> Arrays:
    return _arrays(path, ("time", "detectors", "q_times"))


def _arrays(path: Path, needed: tuple[str, ...]) -> Arrays:
    arrays = load_arrays(path)
    absent = [key for key in needed if key not in arrays]
    if absent:
        raise ValueError(f"arrays {', '.join(absent)} are not in it")
    return arrays
