"""The report page: one self-contained HTML file, written from a run folder."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from ligo_cpc_snn.reports import caveats, headline
from ligo_cpc_snn.reports.figures import Plot, plots
from ligo_cpc_snn.reports.run_files import RunFiles, read_run
from ligo_cpc_snn.reports.theme import DARK, LIGHT, png

SECTIONS = ("Detection", "Event", "Data", "Spikes", "Training")


@dataclass(frozen=True)
class Picture:
    """A drawn figure in both themes, ready to be embedded."""

    plot: Plot
    light: str  # data URIs
    dark: str


def write_report(run_dir: str | Path) -> Path:
    """Write `report.html` and `figures/*.png` of a run from its saved files.

    Args:
        run_dir: the run folder. Files that are absent or unreadable are named on the page.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    files = read_run(run_dir)
    pictures, failures = _draw_all(files)
    page = render(files, pictures, files.missing + failures)
    path = files.folder / "report.html"
    _replace(path, page.encode("utf-8"))
    return path


def _draw_all(files: RunFiles) -> tuple[list[Picture], list[str]]:
    """Draw every figure; one whose data are malformed is named, the others still appear."""
    folder = files.folder / "figures"
    folder.mkdir(exist_ok=True)
    pictures, failures = [], []
    for plot in plots(files):
        try:
            light, dark = png(plot.draw(LIGHT)), png(plot.draw(DARK))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            kind = type(error).__name__
            failures.append(f"The figure “{plot.title}” could not be drawn ({kind}: {error}).")
            continue
        _replace(folder / f"{plot.name}.png", light)
        pictures.append(Picture(plot, _data_uri(light), _data_uri(dark)))
    return pictures, failures


def _data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, so that an open page never shows half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def render(files: RunFiles, pictures: list[Picture], missing: list[str]) -> str:
    """Return the page as HTML."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("ligo_cpc_snn.reports").joinpath("template.html").read_text("utf-8")
    run = files.metrics.get("run", {})
    return environment.from_string(source).render(
        name=str(files.setting("name", files.folder.name)),
        subtitle=_subtitle(files),
        summary=headline.summary(files),
        cards=headline.cards(files),
        table=headline.detection_table(files),
        warnings=caveats.warnings(files),
        missing=missing,
        sections=_sections(pictures),
        facts=[
            ("Run", _facts(run)),
            ("Machine", _facts(files.metrics.get("machine", {}))),
            ("Versions", _facts(files.metrics.get("versions", {}))),
        ],
        config=files.config_text,
        folder=files.folder.name,
        contents=_contents(files.folder),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _sections(pictures: list[Picture]) -> list[tuple[str, list[Picture]]]:
    grouped = {name: [p for p in pictures if p.plot.section == name] for name in SECTIONS}
    return [(name, members) for name, members in grouped.items() if members]


def _subtitle(files: RunFiles) -> str:
    """Return the run's data in a line."""
    detectors = files.setting("data.detectors", [])
    parts = []
    if detectors:
        source = {
            "real": "recorded noise",
            "synthetic": "simulated noise",
            "recoloured": "recoloured noise",
        }
        parts.append(" + ".join(detectors))
        kind = str(files.setting("data.source", ""))
        parts.append(source.get(kind, kind))
        window = files.setting("data.window_seconds", 0)
        parts.append(f"windows of {window:g} s at {files.setting('data.sample_rate_hz', 0):g} Hz")
    return " · ".join(part for part in parts if part)


def _facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(_fact_name(name), _fact(name, value)) for name, value in values.items()]


def _fact_name(name: str) -> str:
    for ending, unit in (("_bytes", ""), ("_gb", " (GB)"), ("_seconds", " (s)")):
        if name.endswith(ending):
            name = name.removesuffix(ending) + unit
    return name.replace("_", " ")


def _fact(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if name.endswith("_bytes"):
        return f"{value / 2**30:.2f} GiB"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}"


def _contents(folder: Path) -> list[tuple[str, str]]:
    """Return (name, size) of the run folder's files."""
    listed = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name != "report.html":
            listed.append((path.name, f"{max(path.stat().st_size / 1024, 0.1):,.1f} KiB"))
    return listed
