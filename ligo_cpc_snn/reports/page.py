"""The report page: one self-contained HTML file, written from a run folder."""

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ligo_cpc_snn.reports import caveats, headline, live
from ligo_cpc_snn.reports.figures import Plot, plots
from ligo_cpc_snn.reports.run_files import RunFiles, read_run
from ligo_cpc_snn.reports.theme import DARK, LIGHT, png
from ligo_cpc_snn.stages import stage

SECTIONS = ("Detection", "Event", "Data", "Spikes", "Training")


@dataclass(frozen=True)
class Picture:
    """A drawn figure, ready to be embedded: in both themes, interactive, or all of it."""

    plot: Plot
    light: str = ""  # data URIs
    dark: str = ""
    live: dict[str, Any] | None = None  # data and layout of Plotly


@stage("report")
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
    pictures, failures = draw_all(plots(files), files.folder / "figures")
    page = render(files, pictures, files.missing + failures)
    path = files.folder / "report.html"
    replace_file(path, page.encode("utf-8"))
    return path


def draw_all(wanted: Iterable[Plot], folder: Path) -> tuple[list[Picture], list[str]]:
    """Draw every figure; one whose data are malformed is named, the others still appear."""
    folder.mkdir(exist_ok=True)
    pictures, failures = [], []
    for plot in wanted:
        try:
            pictures.append(_drawn(plot, folder))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            kind = type(error).__name__
            failures.append(f"The figure “{plot.title}” could not be drawn ({kind}: {error}).")
    return pictures, failures


def _drawn(plot: Plot, folder: Path) -> Picture:
    """Draw a figure as a picture in its file and for the page, and interactive if it can be."""
    interactive = live.as_json(plot.live()) if plot.live else None
    if plot.draw is None:
        return Picture(plot, live=interactive)
    light, dark = png(plot.draw(LIGHT)), png(plot.draw(DARK))
    replace_file(folder / f"{plot.name}.png", light)
    return Picture(plot, _data_uri(light), _data_uri(dark), interactive)


def _data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, so that an open page never shows half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def render(files: RunFiles, pictures: list[Picture], missing: list[str]) -> str:
    """Return the page as HTML."""
    run = files.metrics.get("run", {})
    return fill(
        "template.html",
        pictures=pictures,
        name=str(files.setting("name", files.folder.name)),
        subtitle=_subtitle(files),
        summary=headline.summary(files),
        cards=headline.cards(files),
        table=headline.detection_table(files),
        warnings=caveats.warnings(files),
        missing=missing,
        sections=grouped(pictures, SECTIONS),
        panels=[
            ("Run", _facts(run)),
            ("Machine", _facts(files.metrics.get("machine", {}))),
            ("Versions", _facts(files.metrics.get("versions", {}))),
        ],
        config=files.config_text,
        folder=folder_shown(files.folder),
        contents=contents(files.folder),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def fill(template: str, *, pictures: Iterable[Picture], **values: Any) -> str:
    """Return a template of this package with its values in place.

    Args:
        template: its file's name.
        pictures: all that are on the page; without an interactive one it needs no Plotly.
        values: what the template names.
    """
    pictures = list(pictures)
    needed = any(picture.live for picture in pictures)
    package = resources.files("ligo_cpc_snn.reports")
    environment = Environment(
        loader=FunctionLoader(lambda name: package.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        values,
        pictures=pictures,
        plotly=live.plotly_gzip() if needed else "",
        palette=live.palette(),
    )


def grouped(pictures: list[Picture], sections: Sequence[str]) -> list[tuple[str, list[Picture]]]:
    """Return the pictures of each section that has any."""
    by_section = {name: [p for p in pictures if p.plot.section == name] for name in sections}
    return [(name, members) for name, members in by_section.items() if members]


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


def folder_shown(folder: Path) -> str:
    """Return a folder as a reader finds it: `runs/quickstart`, without what lies above."""
    return "/".join(folder.absolute().parts[-2:])


def contents(folder: Path) -> list[tuple[str, str]]:
    """Return (name, size) of the run folder's files."""
    listed = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name != "report.html":
            listed.append((path.name, f"{max(path.stat().st_size / 1024, 0.1):,.1f} KiB"))
    return listed
