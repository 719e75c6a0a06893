"""Where the numbers of a run go: to a JSON-lines file always, to W&B if asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from matplotlib.figure import Figure

from ligo_cpc_snn.config.schema import WandbConfig, WandbMode
from ligo_cpc_snn.training.jsonl_tracker import JsonlTracker
from ligo_cpc_snn.training.wandb_tracker import WandbTracker


@runtime_checkable
class Tracker(Protocol):
    """One place that keeps what a run reports."""

    def start(self, config: Mapping[str, Any], run_dir: Path, resumed_step: int | None) -> None:
        """Begin, or go on with, the record of a run; see `Trackers.start`."""

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Record numbers, and words such as phase and split, after `step` updates."""

    def figure(self, step: int, name: str, path: Path) -> None:
        """Record a figure that is in a file."""

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Record a table of numbers and words after `step` updates."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Record the numbers that a run is compared by."""

    def uses(self, name: str, kind: str, path: Path) -> None:
        """Record a file or folder that the run was made from."""

    def artifact(
        self, name: str, kind: str, path: Path, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Record a file or folder that the run made; see `Trackers.artifact`."""

    def finish(self, status: str) -> None:
        """End the record: finished, interrupted or failed."""


def build_trackers(cfg: WandbConfig, name: str) -> "Trackers":
    """Return the trackers of a run called `name`."""
    trackers: list[Tracker] = [JsonlTracker()]
    if cfg.mode is not WandbMode.disabled:
        trackers.append(WandbTracker(cfg, name))
    return Trackers(trackers)


class Trackers:
    """Passes everything on to each of several trackers."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = list(trackers)
        self._figures = Path("figures")

    def start(self, config: Mapping[str, Any], run_dir: Path, resumed_step: int | None) -> None:
        """Begin, or go on with, the record of a run.

        Args:
            config: composed configuration, as plain dicts and lists.
            run_dir: existing folder of the run.
            resumed_step: step of the checkpoint restored; None for a new run, whose folder may
                hold an earlier run's record: that is renamed, not lost.
        """
        self._figures = run_dir / "figures"
        for tracker in self.trackers:
            tracker.start(config, run_dir, resumed_step)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Record numbers, and words such as phase and split, after `step` updates."""
        for tracker in self.trackers:
            tracker.log(step, metrics)

    def figure(self, step: int, name: str, figure: Path | Figure) -> None:
        """Record a figure; a Matplotlib figure is first saved as `figures/<name>.png`."""
        path = figure if isinstance(figure, Path) else self._save(name, figure)
        for tracker in self.trackers:
            tracker.figure(step, name, path)

    def _save(self, name: str, figure: Figure) -> Path:
        self._figures.mkdir(parents=True, exist_ok=True)
        path = self._figures / f"{name.replace('/', '-')}.png"
        figure.savefig(path, dpi=120)
        return path

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Record a table of numbers and words after `step` updates."""
        for tracker in self.trackers:
            tracker.table(step, name, columns, rows)

    def summary(self, values: Mapping[str, Any]) -> None:
        """Record the numbers that a run is compared by."""
        for tracker in self.trackers:
            tracker.summary(values)

    def uses(self, name: str, kind: str, path: Path) -> None:
        """Record a file or folder that the run was made from, such as its banks."""
        for tracker in self.trackers:
            tracker.uses(name, kind, path)

    def artifact(
        self, name: str, kind: str, path: Path, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Record a file or folder that the run made, such as the trained model.

        Args:
            name: under which later ones of its kind are newer versions of it.
            kind: `model`, `checkpoint` or `report`.
            path: file or folder.
            metadata: what is shown beside it.
        """
        for tracker in self.trackers:
            tracker.artifact(name, kind, path, metadata)

    def finish(self, status: str) -> None:
        """End the record with `status`: finished, interrupted or failed."""
        for tracker in self.trackers:
            tracker.finish(status)
