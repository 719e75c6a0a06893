"""The page that compares several runs, searches or evaluations: one self-contained HTML file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ligo_cpc_snn.reports.compared_folders import Compared, read_all
from ligo_cpc_snn.reports.compared_metrics import aligned, headline
from ligo_cpc_snn.reports.differences import differences
from ligo_cpc_snn.reports.page import draw_all, fill, replace_file


def write_comparison(folders: Sequence[str | Path], path: str | Path) -> Path:
    """Write a page that compares folders of one kind, from their saved files.

    Args:
        folders: two or more runs, searches, or evaluations.
        path: of the page.

    Returns:
        The path of the page.

    Raises:
        ReportError: the folders cannot be compared.
        FileNotFoundError: an evaluation lacks one of its files.
    """
    compared = read_all([Path(folder) for folder in folders])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, render_comparison(compared, path.parent).encode("utf-8"))
    return path


def render_comparison(compared: Compared, folder: Path) -> str:
    """Return the page as HTML; its figures are all interactive, so no picture is written."""
    pictures, failures = draw_all(compared.plots, folder)
    groups = aligned(compared.numbers)
    rows = differences(compared.settings)
    kind = compared.kind.name
    return fill(
        "comparison_template.html",
        pictures=pictures,
        kind=kind,
        name=f"{len(compared.labels)} {_plural(kind)} compared",
        labels=compared.labels,
        summary=_summary(compared, len(rows)),
        cards=headline(compared.columns, groups),
        caveats=compared.caveats,
        missing=[*compared.missing, *failures],
        columns=compared.columns,
        groups=groups,
        settings=rows,
        settings_note=_settings_note(compared, len(rows)),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("h") else f"{kind}s"


def _summary(compared: Compared, differing: int) -> str:
    names = ", ".join(compared.labels[:-1]) + f" and {compared.labels[-1]}"
    if not differing:
        return f"{names} have the same settings." if all(compared.settings) else f"{names}."
    return f"{names} differ in {differing} setting{'s' * (differing != 1)}."


def _settings_note(compared: Compared, differing: int) -> str:
    without = [n for n, s in zip(compared.labels, compared.settings, strict=True) if not s]
    if without:
        return f"Nothing was saved of the settings of {', '.join(without)}."
    if not differing:
        return "All settings are the same."
    return (
        "Only what differs, names and folders apart. A dash: the setting was not there, as in "
        "runs of other versions."
    )
