"""The saved files of a run folder, read with what is missing or broken said plainly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from ligo_cpc_snn.reading.arrays import load_arrays
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.text import check_yaml, read_json
from ligo_cpc_snn.reports.history import History, read_history

T = TypeVar("T")
Arrays = dict[str, np.ndarray]

CONTENTS = {
    "config.yaml": "the configuration",
    "metrics.jsonl": "the training curves",
    "metrics.json": "the measured numbers, machine and versions",
    "evaluation.npz": "the scores behind ROC and histograms",
    "traces.npz": "the example windows with their spikes and membranes",
    "data.npz": "the densities, sources, glitches and rejected stretches",
    "qtransform.npz": "the Q-transform of the event",
}
DETECTION_KEYS = ("snrs", "noise_windows", "signal_windows", "auc", "efficiency")
NEEDED_KEYS = {
    "evaluation.npz": ("noise_scores", "signal_scores", "snrs"),
    "traces.npz": ("sample_rate_hz", "frame_rate_hz"),
    "event.npz": ("gps", "statistic", "event_gps", "event_name", "threshold"),
    "data.npz": (),
    "qtransform.npz": ("times", "frequencies", "before", "after", "detectors", "event_name"),
}


@dataclass
class RunFiles:
    """What a run folder holds; an absent part is empty and named in `missing`."""

    folder: Path
    config_text: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)
    metrics: dict[str, Any] = field(default_factory=dict)
    evaluation: Arrays = field(default_factory=dict)
    traces: Arrays = field(default_factory=dict)
    event: Arrays = field(default_factory=dict)
    data: Arrays = field(default_factory=dict)
    q_transform: Arrays = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def setting(self, path: str, default: Any) -> Any:
        """Return a configured value by its dotted name, or `default` where there is none."""
        value: Any = self.config
        for name in path.split("."):
            if not isinstance(value, dict) or name not in value:
                return default
            value = value[name]
        return default if value is None else value


def _mapping(value: Any, kind: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected {kind} at the top, found {type(value).__name__}")
    return value


def _settings(text: str) -> dict[str, Any]:
    check_yaml(text)
    return _mapping(yaml.safe_load(text), "settings")


def _read_metrics(path: Path) -> dict[str, Any]:
    metrics = _mapping(read_json(path), "an object")
    detection = metrics.get("detection") or {}
    absent = [key for key in DETECTION_KEYS if key not in detection]
    if detection and absent:
        raise ValueError(f"detection holds no {', '.join(absent)}")
    return metrics


def _read_arrays(path: Path) -> Arrays:
    arrays = load_arrays(path)
    absent = [key for key in NEEDED_KEYS[path.name] if key not in arrays]
    if absent:
        raise ValueError(f"arrays {', '.join(absent)} are not in it")
    return arrays


def _read(path: Path, reader: Callable[[Path], T], empty: T, missing: list[str]) -> T:
    """Return a file's content, or `empty` with the reason added to `missing`."""
    purpose = CONTENTS.get(path.name, "the event")
    try:
        return reader(path)
    except FileNotFoundError:
        missing.append(f"{path.name}, {purpose}: the run did not write it.")
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, FileContentError) else error
        missing.append(f"{path.name}, {purpose}: unreadable ({why}).")
    return empty


def read_run(folder: str | Path) -> RunFiles:
    """Read the saved files of a run folder.

    Args:
        folder: the run folder.

    Returns:
        Its contents; files that are absent or unreadable leave an empty part and a sentence in
        `missing`. A run without an event needs no event.npz.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"run folder {folder} does not exist: give the folder of a run")
    missing: list[str] = []
    text = _read(folder / "config.yaml", lambda path: path.read_text("utf-8"), "", missing)
    nothing: dict[str, Any] = {}
    config = (
        _read(
            folder / "config.yaml",
            lambda _: _settings(text),
            nothing,
            missing,
        )
        if text
        else nothing
    )
    history = _read(folder / "metrics.jsonl", read_history, History(), missing)
    metrics = _read(folder / "metrics.json", _read_metrics, nothing, missing)
    nought: Arrays = {}
    evaluation = _read(folder / "evaluation.npz", _read_arrays, nought, missing)
    traces = _read(folder / "traces.npz", _read_arrays, nought, missing)
    files = RunFiles(folder, text, config, history, metrics, evaluation, traces, missing=missing)
    if files.setting("event.name", None) or (folder / "event.npz").exists():
        files.event = _read(folder / "event.npz", _read_arrays, nought, missing)
        _leave_out_non_finite(files)
    # Runs of earlier versions have neither.
    if (folder / "data.npz").exists():
        files.data = _read(folder / "data.npz", _read_arrays, nought, missing)
    if (folder / "qtransform.npz").exists():
        files.q_transform = _read(folder / "qtransform.npz", _read_arrays, nought, missing)
    return files


def _leave_out_non_finite(files: RunFiles) -> None:
    """Drop non-finite values of the event's statistic: one would pass as the loudest."""
    finite = np.isfinite(files.event.get("statistic", np.ones(1)))
    bad = int(np.count_nonzero(~finite))
    if bad:
        files.missing.append(f"event.npz: {bad} of {finite.size} values are not finite, left out.")
        for name in ("gps", "statistic"):
            files.event[name] = files.event[name][finite]
    if not finite.any():
        files.event = {}
