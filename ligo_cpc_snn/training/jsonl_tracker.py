"""Metrics as lines of JSON, the record of a run that needs nothing else."""

import json
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ligo_cpc_snn.training.set_aside import set_aside

log = logging.getLogger(__name__)


class JsonlTracker:
    """Appends one line to `metrics.jsonl` for each `log`; non-finite numbers become null."""

    def __init__(self) -> None:
        self._file: TextIO | None = None
        self._failed = False

    def start(self, config: Mapping[str, Any], run_dir: Path, resumed_step: int | None) -> None:
        """Open the file: what lies after the resumed step will be written again, so it goes."""
        path = run_dir / "metrics.jsonl"
        if resumed_step is None:
            moved = set_aside(path)
            if moved is not None:
                log.info("an earlier run's metrics are now in %s", moved)
        elif path.exists():
            _rewind(path, resumed_step)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Write one line; `step` and `time` (Unix s) come first.

        Raises:
            RuntimeError: `start` was not called.
            OSError: the disk is full.
        """
        if self._file is None:
            raise RuntimeError("JsonlTracker.log before start: call start(config, run_dir, None)")
        row = {"step": int(step), "time": time.time(), **metrics}
        line = json.dumps({name: _plain(value) for name, value in row.items()}, allow_nan=False)
        try:
            self._file.write(line + "\n")
        except OSError as error:
            self._failed = True
            remedy = "make room, the same command goes on from the last checkpoint"
            raise OSError(error.errno, f"{error.strerror}, {remedy}", self._file.name) from error

    def figure(self, step: int, name: str, path: Path) -> None:
        """Do nothing: the figure is in the run folder already."""

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Do nothing: metrics.json holds the numbers."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Do nothing: metrics.json holds the numbers."""

    def uses(self, name: str, kind: str, path: Path) -> None:
        """Do nothing: the file is in the run folder already."""

    def artifact(
        self, name: str, kind: str, path: Path, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Do nothing: the file is in the run folder already."""

    def finish(self, status: str) -> None:
        """Close the file; a failure that `log` has raised already is not raised again."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            if not self._failed:
                raise
            log.debug("closing after a failed write: %s", error)


def _plain(value: Any) -> str | bool | int | float | None:
    if isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def _rewind(path: Path, resumed_step: int) -> None:
    """Keep the whole lines up to `resumed_step`, through a temporary file."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    steps = [_step(line) for line in lines]
    kept = [
        line
        for line, step in zip(lines, steps, strict=True)
        if step is not None and step <= resumed_step
    ]
    broken = steps.count(None)
    if broken:
        log.warning("%d unreadable line(s) of %s were dropped", broken, path)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    os.replace(partial, path)


def _step(line: str) -> int | None:
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None
