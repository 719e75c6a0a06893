"""The report page of a search: one self-contained HTML file, written from its output folder."""

from datetime import UTC, datetime
from pathlib import Path

import yaml

from ligo_cpc_snn.reports import search_headline as headline
from ligo_cpc_snn.reports import search_tables as tables
from ligo_cpc_snn.reports.detector_card import card_config, card_limits, card_panels
from ligo_cpc_snn.reports.page import (
    Picture,
    contents,
    draw_all,
    fill,
    folder_shown,
    grouped,
    replace_file,
)
from ligo_cpc_snn.reports.search_figures import (
    CANDIDATES,
    FALSE_ALARMS,
    QUIETER,
    TIME,
    WHEN,
    search_plots,
)
from ligo_cpc_snn.reports.search_files import SearchFiles, read_search
from ligo_cpc_snn.stages import stage

# As GWOSC asks its users to: https://gwosc.org/acknowledgement/
ACKNOWLEDGEMENT = (
    "This research has made use of data or software obtained from the Gravitational Wave Open "
    "Science Center (gwosc.org), a service of the LIGO Scientific Collaboration, the Virgo "
    "Collaboration, and KAGRA."
)


@stage("report")
def write_search_report(output_dir: str | Path) -> Path:
    """Write `report.html` and `figures/*.png` of a search from its saved files.

    Args:
        output_dir: of the search. Files that are absent or unreadable are named on the page.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    files = read_search(output_dir)
    pictures, failures = draw_all(search_plots(files), files.folder / "figures")
    path = files.folder / "report.html"
    page = render_search(files, pictures, files.missing + failures)
    replace_file(path, page.encode("utf-8"))
    return path


def render_search(files: SearchFiles, pictures: list[Picture], missing: list[str]) -> str:
    """Return the page as HTML."""
    return fill(
        "search_template.html",
        pictures=pictures,
        heads=tables.HEADS,
        name=str(files.get("name", files.folder.name)),
        subtitle=headline.subtitle(files),
        summary=headline.summary(files),
        notices=[
            ("Read this before the numbers", [str(text) for text in files.get("warnings", [])]),
            ("Missing from this report", missing),
        ],
        cards=headline.cards(files),
        rows=tables.candidate_rows(files),
        open_rows=tables.OPEN,
        table_note=_table_note(files),
        events=tables.event_rows(files),
        sections=grouped(pictures, (WHEN, CANDIDATES, FALSE_ALARMS, TIME)),
        quieter=[picture for picture in pictures if picture.plot.section == QUIETER],
        limits=tables.limits(files),
        card=card_panels(files.get("detector", {})),
        card_limits=card_limits(files.get("detector", {})),
        card_config=card_config(files.get("detector", {})),
        facts=_facts(files),
        settings=_settings(files),
        strain_files=[str(name) for name in files.get("files", [])],
        folder=folder_shown(files.folder),
        contents=contents(files.folder),
        acknowledgement=ACKNOWLEDGEMENT if files.get("open_data") else "",
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _table_note(files: SearchFiles) -> str:
    count = files.triggers["time"].size
    if not count:
        return ""
    shown = f"The {tables.SHOWN} loudest of {count:,}; all" if count > tables.SHOWN else "All"
    return (
        f"{shown} are in triggers.csv and triggers.hdf5. Small print: GPS time, each detector's "
        "contribution, 90 % interval of the rate."
    )


def _facts(files: SearchFiles) -> list[tuple[str, list[tuple[str, str]]]]:
    run = {
        "strain": files.get("source"),
        "command": files.get("command"),
        "catalogue": files.get("catalogue"),
        "threshold": files.get("threshold"),
        "cluster_seconds": files.get("cluster_seconds"),
        "background": files.get("background", {}),
    }
    return [
        ("Search", tables.facts(run)),
        ("Machine", tables.facts(files.get("machine", {}))),
        ("Versions", tables.facts(files.get("versions", {}))),
    ]


def _settings(files: SearchFiles) -> str:
    settings = files.get("settings", {})
    return str(yaml.safe_dump(settings, sort_keys=False)) if settings else ""
