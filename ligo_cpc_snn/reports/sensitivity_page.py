"""The page of a measurement of sensitivity: one self-contained HTML file, from saved files."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ligo_cpc_snn.reports import live_sensitivity
from ligo_cpc_snn.reports import sensitivity_figures as figures
from ligo_cpc_snn.reports.figures import Plot
from ligo_cpc_snn.reports.page import (
    Picture,
    contents,
    draw_all,
    fill,
    folder_shown,
    replace_file,
)
from ligo_cpc_snn.reports.sensitivity_files import SearchScore, SensitivityFiles, read_sensitivity
from ligo_cpc_snn.reports.words import duration

LOUDEST = 1e4  # SNR: a range up to it has no end
Cell = tuple[str, str]  # value, and what stands below it in small
TIMING_HEADS = ("Optimal network SNR", "Found", "Median error", "95 % within", "Within 0.3 s")
HEADS = ("False alarms a month", "Sensitive distance", "Found", "SNR found by half", "Timing")


def write_sensitivity_report(folder: str | Path) -> Path:
    """Write `report.html` and `figures/*.png` of a measurement from its saved files.

    Raises:
        FileNotFoundError: `sensitivity.json` or `sensitivity.npz` is not there.
    """
    files = read_sensitivity(folder)
    pictures, failures = draw_all(sensitivity_plots(files), files.folder / "figures")
    path = files.folder / "report.html"
    replace_file(path, render_sensitivity(files, pictures, failures).encode("utf-8"))
    return path


def sensitivity_plots(files: SensitivityFiles) -> Iterator[Plot]:
    """Yield the figures that the files have data for."""
    if not files.searches:
        return
    yield Plot(
        "sensitive_distance", "", "Sensitive distance against false alarms",
        "The band is one standard deviation, of the finite number of injections; the dot is the "
        "lowest rate that the background resolves, one false alarm in all of it, where the "
        "threshold hangs on a single event. Published values are of the challenge's own month of "
        "data, not of these files.",
        lambda theme: figures.sensitive_distance(files, theme=theme),
        lambda: live_sensitivity.sensitive_distance(
            [(search.name, search) for search in files.searches], files.summary.get("published")
        ),
    )  # fmt: skip
    rate = files.reference_per_month
    if rate is None:
        return
    at = f"At {rate:g} false alarms a month."
    if "network_snr" in files.injections:
        yield Plot(
            "efficiency", "", "Efficiency against SNR",
            f"{at} Bars: Wilson intervals at 95 % of injections within one unit of SNR; lines: "
            "the logistic curve of maximum likelihood.",
            lambda theme: figures.efficiency(files, theme=theme),
            lambda: live_sensitivity.efficiency(files),
        )  # fmt: skip
    yield Plot(
        "found_missed", "", "Found and missed",
        f"{at} Crosses were missed; dots were found, the lighter the larger their statistic.",
        lambda theme: figures.found_missed(files, theme=theme),
        lambda: live_sensitivity.found_missed(files),
    )  # fmt: skip
    yield Plot(
        "breakdown", "", "Found by mass and distance",
        f"{at} Bins of about as many injections each, with Wilson intervals at 95 %.",
        lambda theme: figures.breakdown(files, theme=theme),
    )  # fmt: skip
    yield Plot(
        "timing", "", "Times of the events",
        f"{at} Of the injections found.",
        lambda theme: figures.timing_errors(files, theme=theme),
    )  # fmt: skip


def render_sensitivity(
    files: SensitivityFiles, pictures: list[Picture], failures: list[str]
) -> str:
    """Return the page as HTML."""
    return fill(
        "sensitivity_template.html",
        pictures=pictures,
        name=str(files.summary["name"]),
        summary=_summary(files),
        notices=[*_notices(files), *failures],
        heads=HEADS,
        timing_heads=TIMING_HEADS,
        searches=[
            {
                "name": s.name,
                "rows": [_row(r) for r in s.summary["rates"]],
                "note": _note(s),
                "timing": [[(cell, "") for cell in row] for row in _timing(s)],
            }
            for s in files.searches
        ],
        explained=_explained(files),
        optimal=_optimal(files),
        settings=yaml.safe_dump(files.summary["config"], sort_keys=False),
        folder=folder_shown(files.folder),
        contents=contents(files.folder),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _summary(files: SensitivityFiles) -> str:
    told = files.summary
    made = (
        f"{told['injections']} injections in {duration(told['foreground_seconds'])} of strain, "
        f"{duration(told['background_seconds'])} of noise alone."
    )
    shown = [f"{s.name} {_distance(s.reference)}" for s in files.searches if s.reference]
    if not shown:
        return made
    rate = f"{files.reference_per_month:g} false alarms a month"
    return f"{made} Sensitive distance at {rate}: {', '.join(shown)}."


def _notices(files: SensitivityFiles) -> Iterator[str]:
    yield from files.summary.get("caveats", [])  # older measurements have none
    reasons = {reason for s in files.searches for reason in s.summary["refused"].values()}
    yield from sorted(reasons)
    for search in files.searches:
        few = [r for r in search.summary["rates"] if r["false_alarms"]["exhausted"]]
        if few:
            yield (
                f"{search.name} has {search.summary['background_events']} background events, "
                f"fewer than {few[0]['false_alarms']['asked_per_month']:g} a month allow: all its "
                "events count there, a lower threshold of the search would show more"
            )
        slides = search.summary.get("slides") or {}
        if slides.get("consistent") is False:
            yield f"{search.name}: {_slides(slides)}"


def _timing(search: SearchScore) -> list[list[str]]:
    """Return the rows of errors by SNR at the rate of figures; none in older measurements."""
    rows = (search.reference or {}).get("timing_by_snr", [])
    return [
        [
            f"{row['snr_from']:g} to {row['snr_to']:g}" if row["snr_to"] < LOUDEST
            else f"{row['snr_from']:g} and more",
            f"{row['found']}",
            f"{1000 * row['median_error_seconds']:.0f} ms",
            f"{1000 * row['error_95_seconds']:.0f} ms",
            f"{row['within_tolerance']:.1%}",
        ]
        for row in rows
    ]  # fmt: skip


def _slides(told: dict[str, Any]) -> str:
    """Return what comparing slides with noise as it was came to."""
    if "skipped" in told:
        return f"Time slides were not checked: {told['skipped']}."
    verdict = "agree" if told["consistent"] else "do not agree"
    low, high = told["rate_ratio_low"], told["rate_ratio_high"]
    upper = "more" if high is None else f"{high:.2f}"
    return (
        f"Time slides of {duration(told['seconds'])} of the noise {verdict} with the same noise "
        f"as it was: {told['rate_ratio']:.2f} times its rate of peaks above "
        f"{told['threshold']:.3g} ({low:.2f} to {upper}), Kolmogorov-Smirnov p = "
        f"{told['ks_p_value']:.2g}."
    )


def _row(rate: dict[str, Any]) -> list[Cell]:
    alarms, fraction, half = rate["false_alarms"], rate["fraction"], rate.get("snr_50")
    timing = rate["timing"]
    return [
        (f"{alarms['asked_per_month']:g}",
         f"{alarms['above']} above, {alarms['low']:.0f} to {alarms['high']:.0f} a month"),
        (_distance(rate), f"by the largest injected: {rate['distance_by_largest_injected']:.0f}"),
        (f"{rate['found']} of {rate['injections']}",
         f"{fraction['value']:.1%}, {fraction['low']:.1%} to {fraction['high']:.1%}"),
        (f"{half['value']:.2f}", f"{half['low']:.2f} to {half['high']:.2f}") if half else ("–", ""),
        (f"{1000 * timing['median_error']:.0f} ms",
         f"95 % within {1000 * timing['error_95']:.0f} ms") if timing["found"] else ("–", ""),
    ]  # fmt: skip


def _distance(rate: dict[str, Any]) -> str:
    if rate["distance_error"] is None:
        return "nothing found"
    return f"{rate['distance']:.0f} ± {rate['distance_error']:.0f} Mpc"


def _note(search: SearchScore) -> str:
    told = search.summary
    lost = told["foreground_events_without_injection"]
    slides = _slides(told["slides"]) if told.get("slides") else ""
    analysed = told.get("analysed_seconds") or {}
    looked_at = ", ".join(
        f"{duration(seconds)} of the {kind}" for kind, seconds in analysed.items()
    )
    text = (
        f"{told['background_events']:,} background events in "
        f"{duration(told['background_seconds'])}; {told['foreground_events']:,} foreground events, "
        f"{lost:,} of them near no injection."
    )
    if looked_at:
        text += f" The search analysed {looked_at}."
    return f"{text} {slides}".strip()


def _explained(files: SensitivityFiles) -> str:
    """Return what the tables' numbers are, once for all searches."""
    limits = sorted({str(s.summary.get("limits", "of an unknown kind")) for s in files.searches})
    if not limits:
        return ""
    return (
        "Errors are of the finite number of injections; small print: the threshold's own rate "
        "within 90 % (Poisson). Distances are of a volume that ends at the largest source, "
        f"d_max and Mc_max {', '.join(limits)}; in small print at the largest injected here."
    )


def _optimal(files: SensitivityFiles) -> str:
    steps = [
        f"{step['distance']:.0f} Mpc above {step['snr']:g}" for step in files.summary["optimal"]
    ]
    if not steps:
        return ""
    return (
        "For comparison, a search that finds all injections above an optimal network SNR and "
        f"nothing below it: {', '.join(steps)}."
    )
