"""Which figures the files of a search allow, each with its title and how to read it."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ligo_cpc_snn.reports import candidate_figures, false_alarm_figures, live_search
from ligo_cpc_snn.reports.figures import Plot
from ligo_cpc_snn.reports.search_files import SearchFiles
from ligo_cpc_snn.reports.theme import Theme
from ligo_cpc_snn.reports.timeline_figure import timeline
from ligo_cpc_snn.reports.words import duration, utc

WHEN, CANDIDATES, QUIETER = "Against time", "Candidates", "Quieter"
FALSE_ALARMS, TIME = "False alarms", "Time searched"
OPEN_CANDIDATES = 3  # the others are folded away


def search_plots(files: SearchFiles) -> list[Plot]:
    """Return the figures that the saved files of a search allow, in the order of the page."""
    parts = (_when, _candidates, _false_alarms, _time)
    return [plot for part in parts for plot in part(files)]


def _when(files: SearchFiles) -> Iterator[Plot]:
    if not files.triggers["time"].size:
        return
    yield Plot(
        "trigger_times", WHEN, "The statistic against time",
        "Each trigger tells its time, statistic, false-alarm rate and the nearest event of the "
        "catalogue. Stars: within the timing of an event. Shaded: time analysed.",
        None, lambda: live_search.trigger_times({"triggers": files}),
    )  # fmt: skip
    if any(name.endswith("_statistic") for name in files.candidates):
        yield Plot(
            "around_candidates", WHEN, "The statistic around the loudest triggers",
            "Of every frame. Choose others below the figure.",
            None, lambda: live_search.around_candidates(files),
        )  # fmt: skip


def candidate_title(files: SearchFiles, row: int) -> str:
    """Return what a trigger is called: the event it is, and its time."""
    event, when = files.event_of(row), f"{utc(files.triggers['time'][row])} UTC"
    return f"{event} · {when}" if event else when


def _candidates(files: SearchFiles) -> Iterator[Plot]:
    if not files.candidates:
        return
    rows = _rows_of_candidates(files)
    for index, row in enumerate(rows):
        section = CANDIDATES if index < OPEN_CANDIDATES else QUIETER
        yield Plot(
            f"candidate_{index + 1}", section, f"{index + 1}. {candidate_title(files, row)}",
            _candidate_caption(files, row), partial(_draw_candidate, files, index, row),
        )  # fmt: skip


def _rows_of_candidates(files: SearchFiles) -> list[int]:
    """Return the triggers' rows of the candidates, whose times are copies of theirs."""
    times = files.triggers["time"]
    return [int(np.argmin(np.abs(times - time))) for time in files.candidates["time"]]


def _draw_candidate(files: SearchFiles, index: int, row: int, theme: Theme) -> Figure:
    threshold = files.get("threshold")
    offset = files.triggers["nearest_event_offset_seconds"][row] if files.event_of(row) else None
    return candidate_figures.candidate(
        candidate_figures.candidate_arrays(files.candidates, index),
        [str(name) for name in files.candidates["detectors"]],
        peak=float(files.triggers["statistic"][row]),
        threshold=None if threshold is None else float(threshold),
        q_times=files.candidates["q_times"],
        event_offset=None if offset is None else float(offset),
        theme=theme,
    )


def _candidate_caption(files: SearchFiles, row: int) -> str:
    text = (
        "Above: the statistic of each frame, the triangle at the candidate; whitened strain, the "
        "detectors one below the other, thick in 30 to 350 Hz. Below: energy of the Q-transform "
        "of the whitened strain over its median, on one scale for all detectors."
    )
    if files.event_of(row):
        text += f" Green: the catalogue's time of {files.event_of(row)}."
    return text


def _false_alarms(files: SearchFiles) -> Iterator[Plot]:
    triggers, names = files.triggers, _names(files)
    known = np.isfinite(triggers["ifar_years"])
    if known.any() and files.background_seconds and files.searched_seconds:
        yield Plot(
            "inverse_far", FALSE_ALARMS, "Triggers against what noise makes",
            "Number of triggers with at least the inverse false-alarm rate below. Dashed: what "
            "noise alone makes on average in the time searched; bands: what it makes in 68, 95 "
            "and 99.7 % of such searches. Signals lie above the bands. Right of the dotted line "
            "the background is too short to tell: arrows are louder than all of it.",
            _inverse_far(files, known, [n for n, k in zip(names, known, strict=True) if k]),
            lambda: live_search.inverse_far({"triggers": files}),
        )  # fmt: skip
    background = files.background.get("statistic", np.zeros(0))
    if not triggers["statistic"].size and not background.size:
        return
    scale = files.searched_seconds / files.background_seconds if files.background_seconds else 0.0
    caption = "Triggers of the time searched, with 68 % Poisson intervals."
    if background.size:
        caption = (
            f"Filled: triggers of the time slides, {duration(files.background_seconds)} of noise "
            "in which no signal can be in coincidence, scaled to the time searched. Points: "
            "triggers of the search itself, with 68 % Poisson intervals."
        )
    yield Plot(
        "statistics", FALSE_ALARMS, "The statistic of noise and of triggers", caption,
        lambda theme: false_alarm_figures.statistics(
            triggers["statistic"], background, names, scale=scale,
            searched=duration(files.searched_seconds), theme=theme,
        ),
    )  # fmt: skip


def _inverse_far(
    files: SearchFiles, known: np.ndarray, names: list[str]
) -> Callable[[Theme], Figure]:
    return lambda theme: false_alarm_figures.inverse_far(
        files.triggers["ifar_years"][known],
        files.triggers["extrapolated"][known].astype(bool),
        np.array([not files.louder_in_background(int(row)) for row in np.flatnonzero(known)]),
        names,
        searched_seconds=files.searched_seconds,
        background_seconds=files.background_seconds,
        theme=theme,
    )


def _names(files: SearchFiles) -> list[str]:
    return [files.event_of(row) for row in range(files.triggers["time"].size)]


def _time(files: SearchFiles) -> Iterator[Plot]:
    spans = files.get("spans", [])
    if not spans:
        return
    rows = files.loudest_first[:50]
    times = files.triggers["time"][rows]
    names = [files.event_of(row) for row in rows]
    yield Plot(
        "timeline", TIME, "What was analysed",
        "Each row is a stretch of time without a long gap. Warm-up is strain that was read "
        "while the network had not yet seen enough of it. Triangles: the loudest triggers.",
        lambda theme: timeline(spans, times, names, theme=theme),
    )  # fmt: skip
