"""The page of a profile: flame charts and tables, written from `profile.json` alone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from ligo_cpc_snn.reading.text import read_json
from ligo_cpc_snn.reports.page import (
    contents,
    draw_all,
    fill,
    folder_shown,
    grouped,
    replace_file,
)
from ligo_cpc_snn.reports.profile_figures import SECTION_CALL, SECTION_RUN
from ligo_cpc_snn.reports.profile_plots import profile_plots
from ligo_cpc_snn.reports.search_tables import facts
from ligo_cpc_snn.reports.words import duration

RECORD = "profile.json"
FUNCTIONS_SHOWN = 20


class TableOf(NamedTuple):
    """A table of the page: its title, headings, rows of texts, and how to read it."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str

    @property
    def cells(self) -> list[list[tuple[str, str]]]:
        """The rows with no small print, as the pages' tables have it."""
        return [[(text, "") for text in row] for row in self.rows]


def write_profile_report(folder: str | Path) -> Path:
    """Write `report.html` and `figures/*.png` of a profile.

    Args:
        folder: with profile.json.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: there is no profile.json.
    """
    folder = Path(folder)
    record = read_json(folder / RECORD)
    pictures, failures = draw_all(profile_plots(record), folder / "figures")
    trace = record["trace"]
    missing = [*failures, *([trace["missing"]] if "missing" in trace else [])]
    page = fill(
        "profile_template.html",
        pictures=pictures,
        name=record["name"],
        summary=summary(record),
        notices=[
            ("Read this before the numbers", record["warnings"]),
            ("Missing from this report", missing),
        ],
        sections=grouped(pictures, (SECTION_RUN, SECTION_CALL)),
        tables=[table for table in tables(record) if table.rows],
        trace_file=trace.get("file", ""),
        facts=[("Machine", facts(record["machine"])), ("Versions", facts(record["versions"]))],
        folder=folder_shown(folder),
        contents=contents(folder),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    path = folder / "report.html"
    replace_file(path, page.encode("utf-8"))
    return path


def summary(record: Mapping[str, Any]) -> str:
    """Return the profile in two sentences."""
    whole = record["stages"][0]
    stages = [stage for stage in record["stages"] if len(stage["path"]) == 2]
    longest = max(stages, key=lambda stage: stage["seconds"], default=None)
    compiling = sum(made["compile_seconds"] for made in record["compilation"])
    text = f"{duration(whole['seconds'])} in all, {duration(compiling)} of it the compiler"
    if longest is not None:
        text += f"; the longest stage is {longest['path'][-1]} with {duration(longest['seconds'])}"
    text += f". Memory peaked at {record['peak_memory_bytes'] / 1e9:.2f} GB."
    if record.get("forecast"):
        text += f" A whole run would take about {duration(record['forecast'][-1]['seconds'])}."
    return text


def tables(record: Mapping[str, Any]) -> list[TableOf]:
    """Return all tables of a profile."""
    return [_stages(record), _forecast(record), _programs(record), _operations(record),
            _compilation(record)]  # fmt: skip


def _stages(record: Mapping[str, Any]) -> TableOf:
    rows = [
        (
            "\u2003" * (len(stage["path"]) - 1) + stage["path"][-1],
            f"{stage['calls']:,}",
            f"{stage['seconds']:.3f}",
            f"{stage['self_seconds']:.3f}",
            f"{stage['cpu_seconds'] / max(stage['seconds'], 1e-9):.1f}",
            f"{stage['resident_peak'] / 1e6:,.0f}",
            f"{stage['device_peak'] / 1e6:,.0f}" if stage["device_peak"] else "–",
        )
        for stage in record["stages"]
    ]
    headings = ("stage", "calls", "seconds", "own seconds", "cores busy", "peak MB", "device MB")
    note = (
        "Own: without the stages inside. Peaks are the highest of looks "
        f"{1e3 * record['memory']['sampled_every_seconds']:.0f} ms apart, of the whole process."
    )
    return TableOf("Stages", headings, rows, note)


def _forecast(record: Mapping[str, Any]) -> TableOf:
    rows = [(part["part"], duration(part["seconds"])) for part in record.get("forecast", [])]
    note = "Median step times the steps asked for; waiting for each step makes it a little high."
    return TableOf("What the whole run would take", ("part", "time"), rows, note)


def _programs(record: Mapping[str, Any]) -> TableOf:
    rows = []
    for program in record["programs"]:
        seconds, memory = program["seconds"], program["memory_bytes"]
        if seconds:
            typical = median(seconds)
            rows.append((
                program["name"], str(len(seconds)), f"{1e3 * typical:.2f}",
                f"{1e3 * min(seconds):.2f}", f"{program['flops'] / typical / 1e9:.1f}",
                f"{memory['temporaries'] / 1e6:.1f}", f"{memory['arguments'] / 1e6:.1f}",
            ))  # fmt: skip
    headings = ("program", "calls", "median ms", "least ms", "GFLOP/s", "temporary MB",
                "arguments MB")  # fmt: skip
    note = (
        "Operations and memory are the compiler's own account; it counts the body of a loop once, "
        "so that the GFLOP/s of a program with loops are a lower bound."
    )
    return TableOf("Compiled programs", headings, rows, note)


def _operations(record: Mapping[str, Any]) -> TableOf:
    trace = record["trace"]
    rows = [
        (
            operation["name"],
            operation["source"] or "–",
            f"{operation['runs']:.0f}",
            f"{1e3 * operation['seconds']:.3f}",
        )
        for operation in trace.get("operations", [])
    ]
    headings = ("operation", "from", "runs per call", "ms per call")
    note = "Summed over threads; a loop's or a call's time includes what runs inside it."
    return TableOf("Operations that take longest", headings, rows, note)


def _compilation(record: Mapping[str, Any]) -> TableOf:
    rows = [
        (
            made["function"], str(made["programs"]), str(made["from_cache"]),
            f"{made['trace_seconds']:.2f}", f"{made['lower_seconds']:.2f}",
            f"{made['compile_seconds']:.2f}",
        )
        for made in record["compilation"][:FUNCTIONS_SHOWN]
    ]  # fmt: skip
    headings = ("function", "programs", "from cache", "tracing s", "lowering s", "compiling s")
    note = (
        "Tracing includes the functions inside. What came from the cache was read, not compiled: "
        "runtime.compilation_cache=false shows a first start."
    )
    return TableOf("Compilation by function", headings, rows, note)
